use policy::HrFacts;

use super::*;
use crate::fixture::{NOON, snapshot};

fn answer() -> Arc<Effective> {
    Arc::new(Effective::of_facts(&HrFacts::default(), &[], &snapshot(1, ""), NOON))
}

#[test]
fn atk_a32_an_answer_is_for_its_account_and_generation_alone() {
    let (memory, answer) = (Memory::new(), answer());
    let _listening = memory.listen();
    let (a, b) = (AccountId::generate(), AccountId::generate());
    memory.keep(memory.epoch(), a, 7, &answer);
    assert!(memory.get(a, 7, NOON).is_some());
    assert!(memory.get(b, 7, NOON).is_none());
    assert!(memory.get(a, 6, NOON).is_none());
    assert!(memory.get(a, 8, NOON).is_none());
}

#[test]
fn nothing_is_kept_while_nobody_listens() {
    let (memory, answer, account) = (Memory::new(), answer(), AccountId::generate());
    memory.keep(memory.epoch(), account, 1, &answer);
    assert!(memory.get(account, 1, NOON).is_none());
    let listening = memory.listen();
    assert!(memory.get(account, 1, NOON).is_none(), "from before");
    memory.keep(memory.epoch(), account, 1, &answer);
    assert!(memory.get(account, 1, NOON).is_some());
    drop(listening);
    assert!(memory.get(account, 1, NOON).is_none());
    let _again = memory.listen();
    assert!(memory.get(account, 1, NOON).is_none(), "from a time when changes went unheard");
}

#[test]
fn an_answer_read_before_a_change_was_heard_is_not_kept_after_it() {
    let (memory, answer) = (Memory::new(), answer());
    let _listening = memory.listen();
    let (a, b) = (AccountId::generate(), AccountId::generate());
    for change in [&(|| memory.forget(b)) as &dyn Fn(), &|| memory.turn(), &|| memory.forget_all()] {
        let epoch = memory.epoch();
        change();
        memory.keep(epoch, a, 1, &answer);
        assert!(memory.get(a, 1, NOON).is_none());
    }
}

#[test]
fn a_change_forgets_the_account_in_every_generation_that_is_kept() {
    let (memory, answer) = (Memory::new(), answer());
    let _listening = memory.listen();
    let (a, b) = (AccountId::generate(), AccountId::generate());
    for (account, generation) in [(a, 3), (a, 4), (b, 4)] {
        memory.keep(memory.epoch(), account, generation, &answer);
    }
    memory.forget(a);
    assert!(memory.get(a, 3, NOON).is_none() && memory.get(a, 4, NOON).is_none());
    assert!(memory.get(b, 4, NOON).is_some());
    memory.forget_all();
    assert!(memory.get(b, 4, NOON).is_none());
}

#[test]
fn generations_that_are_long_over_or_never_in_force_are_not_kept() {
    let (memory, answer, account) = (Memory::new(), answer(), AccountId::generate());
    let _listening = memory.listen();
    for generation in [5, 4, 3, 0] {
        memory.keep(memory.epoch(), account, generation, &answer);
    }
    let kept = |generation| memory.get(account, generation, NOON).is_some();
    assert_eq!([kept(5), kept(4), kept(3), kept(0)], [true, true, false, false]);
}
