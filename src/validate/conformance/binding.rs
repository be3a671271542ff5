//! Codes of elements that a profile binds to another value set, or more strictly, than the release does.
//! Spec: <https://hl7.org/fhir/STU3/terminologies.html#strength>.

use super::{BINDING, EXTENSIBLE, Judge, element::Occurrence};
use crate::{
    stu3::{Strength, profile::ElementDefinition},
    validate::{
        issue::{At, Rule},
        rules::binding::{self, Verdict},
    },
};

impl Judge<'_, '_, '_> {
    /// The binding of a definition, where it is not the one that the release states.
    pub(super) fn codes(&mut self, element: &ElementDefinition, base: Option<&ElementDefinition>, at: Occurrence) {
        let Some(bound) = &element.binding else { return };
        let released = base.and_then(|base| base.binding.as_ref());
        if let Some(set) = &bound.maximum
            && released.is_none_or(|released| released.maximum.as_ref() != Some(set))
        {
            self.codes_of(&BINDING, Strength::Required, set, at);
        }
        let is_new = released
            .is_none_or(|released| released.value_set != bound.value_set || released.strength != bound.strength);
        if let Some(set) = bound.value_set.as_ref().filter(|_| is_new) {
            match bound.strength {
                Strength::Required => self.codes_of(&BINDING, Strength::Required, set, at),
                Strength::Extensible => self.codes_of(&EXTENSIBLE, Strength::Extensible, set, at),
                Strength::Preferred | Strength::Example => {}
            }
        }
    }

    fn codes_of(&mut self, rule: &'static Rule, strength: Strength, set: &str, at: Occurrence) {
        let Some(value) = at.value else { return };
        match binding::judge(self.cx, strength, set, at.type_name, value) {
            Verdict::Sound => {}
            Verdict::Outside if strength == Strength::Extensible => {
                let text = format!("no code of {set} is here: use one of its codes if one fits what is meant");
                self.add(rule, At::here(at.node), text);
            }
            Verdict::Outside => {
                self.add(rule, At::here(at.node), format!("this is no code of {set}: use one of its codes"));
            }
            Verdict::Unknown(Some(system)) => {
                self.out.system_not_checked_once(self.cx, rule, At::here(at.node), Some(&system), || {
                    format!("the codes of {} are not known here: none of the file is checked", &*system)
                });
            }
            Verdict::Unknown(None) => {
                let text = format!("the codes of {set} are not known here");
                self.not_checked(rule, At::here(at.node), text);
            }
        }
    }
}
