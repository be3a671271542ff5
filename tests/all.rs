//! The one test binary: a module for each kind of test.

#[cfg(test)]
mod architecture;

#[cfg(test)]
mod readme;

#[cfg(test)]
mod samples;

#[cfg(test)]
mod bridge {
    mod attack;
    mod corpus;
    mod delivery;
    mod intake;
    mod memory;
    mod privacy;
    mod routing;
    mod stand;
}

#[cfg(test)]
mod conformance {
    mod corpus;
    mod facts;
    mod mutation;
}

mod generate {
    pub(super) mod package;
    pub(super) mod table;
}
