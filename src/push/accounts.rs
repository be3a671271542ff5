//! What the API knows of a person's accounts and of our contract.

use super::client::{Client, Failure};
use crate::model::{AccountId, AccountReference, Secret, Timestamp};
use reqwest::Method;
use serde::Deserialize;

/// An account as the API lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiAccount {
    /// `id`
    pub id: AccountId,
    /// `reference`
    pub reference: AccountReference,
    /// The provider's or service's name.
    pub service: Option<String>,
    /// `accessTokenStatus.authorized`; absent counts as yes.
    pub authorised: bool,
}

/// What a contract allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractFacts {
    /// `accessType`: a push needs `w`.
    pub access_type: String,
    /// `expirationDate`
    pub expires: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccountPayload {
    id: AccountId,
    reference: AccountReference,
    service_provider_name: Option<String>,
    service_type_name: Option<String>,
    access_token_status: Option<AccessTokenStatus>,
}

#[derive(Deserialize)]
struct AccessTokenStatus {
    authorized: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContractPayload {
    access_type: String,
    expiration_date: Option<serde_json::Value>,
}

impl Client {
    /// The accounts that the token opens.
    ///
    /// # Errors
    /// The API did not list them.
    pub async fn accounts(&self, access: &Secret<String>) -> Result<Vec<ApiAccount>, Failure> {
        let request = || {
            let mut claims = self.claims();
            claims.access_token = Some(access.expose());
            self.request(Method::GET, "permission-access/accounts", &claims)
        };
        let body = self.ask(request).await?;
        let unreadable = |_| Failure::Unreadable("the accounts are not a list of accounts");
        let accounts: Vec<AccountPayload> = serde_json::from_slice(&body).map_err(unreadable)?;
        let mut accounts: Vec<_> = accounts
            .into_iter()
            .map(|account| ApiAccount {
                id: account.id,
                reference: account.reference,
                service: account.service_provider_name.or(account.service_type_name),
                authorised: account.access_token_status.is_none_or(|status| status.authorized),
            })
            .collect();
        accounts.sort_by(|left, right| left.id.cmp(&right.id));
        Ok(accounts)
    }

    /// What our contract allows; needs no token of a person.
    ///
    /// # Errors
    /// The API did not say.
    pub async fn contract(&self) -> Result<ContractFacts, Failure> {
        let body = self.ask(|| self.request(Method::GET, "permission-access/contract", &self.claims())).await?;
        let unreadable = |_| Failure::Unreadable("it is no contract");
        let payload: ContractPayload = serde_json::from_slice(&body).map_err(unreadable)?;
        let expires = payload.expiration_date.as_ref().and_then(serde_json::Value::as_f64);
        // Seconds or milliseconds: an instant in milliseconds is a thousand times later.
        let expires = expires.map(|date| if date > 1e11 { date / 1e3 } else { date }).map(super::token::seconds);
        Ok(ContractFacts { access_type: payload.access_type, expires })
    }
}
