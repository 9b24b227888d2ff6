mod binary;
mod dev;
mod readme;
mod reload;
