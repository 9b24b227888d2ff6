mod headers;
mod requests;
mod site;
