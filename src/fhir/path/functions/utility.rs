//! <http://hl7.org/fhirpath/#utility-functions>

use super::Call;
use crate::fhir::path::{
    PathError,
    ast::Function,
    evaluate::Evaluator,
    temporal::Temporal,
    value::{Collection, Item},
};

pub(super) fn call<'d>(cx: &mut Evaluator<'_, 'd>, call: Call<'_, 'd>) -> Result<Collection<'d>, PathError> {
    if call.function == Function::Trace {
        // what passes here may be a patient's: it is shown nowhere
        return Ok(call.items.to_vec());
    }
    let Some(now) = cx.environment.now else { return Ok(Vec::new()) };
    let moment = match call.function {
        Function::Now => Temporal::date_time(now),
        Function::Today => Temporal::date_time(now).map(Temporal::as_date),
        _ => now.split_once('T').and_then(|(_, time)| time.get(..8)).and_then(Temporal::time),
    };
    Ok(moment.map(Item::Temporal).into_iter().collect())
}
