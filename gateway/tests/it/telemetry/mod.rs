mod audit;
mod logs;
