mod budgets;
mod outages;
mod replicas;
mod store;
