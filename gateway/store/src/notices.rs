//! What a person is told.

use model::Timestamp;
use uuid::Uuid;

use crate::statements::statements;
use crate::value::args;
use crate::{Notice, StoreError, Tx};

statements! {
    INSERT = "INSERT INTO notice (id, account, kind, body, at) VALUES ($1, $2, $3, $4, $5)";
}

pub(crate) async fn append(tx: &mut Tx, notices: &[Notice], now: Timestamp) -> Result<(), StoreError> {
    for notice in notices {
        tx.run(INSERT, args![Uuid::now_v7(), notice.account, notice.kind, &notice.body, now]).await?;
    }
    Ok(())
}
