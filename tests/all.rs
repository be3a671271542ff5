//! The one test binary: a module for each kind of test.

#[cfg(test)]
mod architecture;

#[cfg(test)]
mod packages;

#[cfg(test)]
mod profiles;

#[cfg(test)]
mod readme;

#[cfg(test)]
mod samples;

#[cfg(test)]
mod stand;

#[cfg(test)]
mod validate;

#[cfg(test)]
mod bridge {
    use super::stand;

    mod alerts;
    mod attack;
    mod audit;
    mod authorize;
    mod backup;
    mod bell;
    mod corpus;
    mod delivery;
    mod held_to_profiles;
    mod intake;
    mod library;
    mod memory;
    mod privacy;
    mod retention;
    mod routing;
    mod secrets;
    mod terminology;
    mod tls;
    mod xml;
}

#[cfg(test)]
mod conformance {
    mod as_xml;
    mod cases;
    mod constraints;
    mod corpus;
    mod elements;
    mod expressions;
    mod facts;
    mod fhirpath;
    mod instance;
    mod mutation;
    mod samples;
    mod snapshots;
    mod xml;
    mod zib;
}

mod generate {
    pub(super) mod extensions;
    pub(super) mod package;
    pub(super) mod profiles;
    pub(super) mod table;
    pub(super) mod terminology;
}
