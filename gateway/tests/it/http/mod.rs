mod connections;
mod cost;
mod headers;
mod proxies;
mod requests;
mod site;
