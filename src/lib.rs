//! The map of the house (being written).

pub mod admin;
pub mod cli;
pub mod config;
pub mod engine;
pub mod fhir;
pub mod intake;
pub mod model;
pub mod push;
pub mod route;
pub mod sandbox;
pub mod store;
pub mod stu3;
pub mod validate;
