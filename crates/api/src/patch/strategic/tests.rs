mod apply;
mod create;
