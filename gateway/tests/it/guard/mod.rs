mod budgets;
mod replicas;
mod store;
