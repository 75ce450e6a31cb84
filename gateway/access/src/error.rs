use store::StoreError;

/// Why nobody can say which roles an account holds, or give it one.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// There is no such account.
    #[error("no such account")]
    NoAccount,
    /// The policy has no role of this name.
    #[error("the policy has no role {role:?}")]
    NoRole {
        /// The name.
        role: String,
    },
    /// The store could not be asked (503).
    #[error("the store could not be asked for roles")]
    Store(#[from] StoreError),
}
