mod connections;
mod cost;
mod headers;
mod requests;
mod site;
