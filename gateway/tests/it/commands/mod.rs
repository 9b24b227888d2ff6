mod binary;
mod readme;
