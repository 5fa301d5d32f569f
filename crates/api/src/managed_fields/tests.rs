mod apply;
mod compare;
mod recorded;
mod sets;
mod update;
