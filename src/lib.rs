//! The map of the house (being written).

pub mod model;
