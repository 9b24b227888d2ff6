mod binary;
mod dev;
mod operations;
mod readme;
mod reload;
