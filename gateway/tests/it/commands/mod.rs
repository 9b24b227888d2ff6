mod binary;
mod dev;
mod readme;
