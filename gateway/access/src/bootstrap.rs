use audit::{Event, Outcome, Record, What, Who, Why};
use config::Snapshot;
use model::AccountId;
use serde_json::{Value, json};
use store::grants::{self, GrantKind, NewGrant};
use store::{Changed, Facts, Store, Tx};

use crate::AccessError;

const REASON: &str = "made at the host itself, before anybody could approve";

/// Gives an account its first roles, privileged ones too, without anybody's approval: for the command at
/// the host, under the store's lock (design.md §15). A role that the account holds by a grant of this
/// kind already isn't given again. Each grant is recorded under the operating system's `user`.
///
/// # Errors
/// Nothing is given: [`AccessError::NoRole`] for a name that isn't in the policy,
/// [`AccessError::NoAccount`], [`AccessError::Store`].
pub async fn bootstrap(
    store: &Store,
    account: AccountId,
    roles: &[String],
    user: &str,
    snapshot: &Snapshot,
) -> Result<(), AccessError> {
    if let Some(role) = roles.iter().find(|role| snapshot.policy.role(role).is_none()) {
        return Err(AccessError::NoRole { role: role.clone() });
    }
    let mut tx = store.begin().await?;
    let mut records = Vec::new();
    for role in missing(&mut tx, account, roles).await? {
        records.push(give(&mut tx, account, role, user).await?);
    }
    let mut records = records.into_iter();
    let Some(first) = records.next() else { return Ok(()) };
    let facts = records.fold(Facts::recorded(first), Facts::and).changed(Changed::grants(account));
    // Whoever runs this without the server has no journal to wait for; the outbox keeps the records.
    let _later = tx.commit(facts).await?;
    Ok(())
}

async fn missing<'r>(tx: &mut Tx, account: AccountId, roles: &'r [String]) -> Result<Vec<&'r str>, AccessError> {
    store::accounts::by_id(&mut *tx, account).await?.ok_or(AccessError::NoAccount)?;
    let now = tx.now();
    let held = grants::of_account(tx, account, now).await?;
    let held = |role: &str| held.iter().any(|grant| grant.kind == GrantKind::Bootstrap && grant.role == role);
    let mut missing: Vec<&str> = roles.iter().map(String::as_str).filter(|role| !held(role)).collect();
    missing.sort_unstable();
    missing.dedup();
    Ok(missing)
}

async fn give(tx: &mut Tx, account: AccountId, role: &str, user: &str) -> Result<Record, AccessError> {
    let grant = NewGrant {
        account,
        role: role.to_owned(),
        kind: GrantKind::Bootstrap,
        reason: REASON.to_owned(),
        paper: None,
        valid_from: tx.now(),
        valid_until: None,
    };
    let id = grants::insert(tx, &grant).await?.to_string();
    let after = json!({ "role": role, "kind": grant.kind.name(), "from": grant.valid_from.to_string() });
    Ok(Record::new(Event::GrantAdd, Outcome::Ok)
        .who(Who::operator(user))
        .what(What::thing("account", &account.to_string()))
        .why(Why { grant: Some(&id), purpose: Some(REASON), ..Why::default() })
        .change(&Value::Null, &after))
}

#[cfg(test)]
mod tests;
