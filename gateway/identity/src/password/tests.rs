use model::{AccountId, MasterKey, PersonId, Secret};

use super::*;
use crate::Rules;
use crate::testing::rules;

fn person() -> Person {
    Person {
        id: PersonId::generate(),
        account: AccountId::generate(),
        staff_no: "004711".parse().unwrap(),
        name: "服部 淳子".to_owned(),
        kana: Some("ハットリ ジュンコ".to_owned()),
        department: "3階東病棟".to_owned(),
    }
}

fn judged(password: &str, profile: Profile) -> Result<(), Problem> {
    let words = ["minatobyouin".to_owned(), "みなと".to_owned()];
    Passwords::new().judge(password, profile, &person(), Some((1984, 6, 17)), &words)
}

#[test]
fn req_c11_thirteen_characters_with_letters_and_digits_by_default_and_fifteen_of_any_kind_for_nist() {
    assert_eq!(judged("tK9#vq2Lw!z8", Profile::Mhlw7), Err(Problem::TooShort { at_least: 13 }));
    assert_eq!(judged("tK9#vq2Lw!z8m", Profile::Mhlw7), Ok(()));
    assert_eq!(judged("tK.#vq-Lw!z_m", Profile::Mhlw7), Err(Problem::NotMixed));
    assert_eq!(judged("82749103562817", Profile::Mhlw7), Err(Problem::NotMixed));
    assert_eq!(judged("tK9#vq2Lw!z8m4", Profile::Nist), Err(Problem::TooShort { at_least: 15 }));
    assert_eq!(judged("tK.#vq-Lw!z_m+u", Profile::Nist), Ok(()));
}

#[test]
fn req_c13_any_script_emoji_and_spaces_count_by_code_points() {
    assert_eq!(judged("海亀が夜に泥舟を七十1漕ぐ", Profile::Mhlw7), Ok(()));
    assert_eq!(judged("紙 魚 🐢 泥 舟 夜 9", Profile::Mhlw7), Ok(()));
    assert_eq!(judged("海亀7泥舟", Profile::Mhlw7), Err(Problem::TooShort { at_least: 13 }));
    assert_eq!(judged("tK9#vq2\u{7}Lw!z8m", Profile::Mhlw7), Err(Problem::Unprintable));
}

#[test]
fn req_c12_a_hundred_and_twenty_eight_characters_are_accepted_and_one_more_is_said_to_be_too_long() {
    let long: String = "qZ7 vb3 Xp1 ".chars().cycle().take(127).chain(['k']).collect();
    assert_eq!(judged(&long, Profile::Mhlw7), Ok(()));
    assert_eq!(judged(&format!("{long}k"), Profile::Mhlw7), Err(Problem::TooLong));
    assert_eq!(judged(&"x".repeat(2_000), Profile::Mhlw7), Err(Problem::TooLong));
    // One code point that becomes eighteen: measured after normalisation.
    assert_eq!(judged(&"\u{fdfa}".repeat(20), Profile::Nist), Err(Problem::TooLong));
}

#[test]
fn req_c19_the_blocklist_has_ten_thousand_entries_and_knows_what_people_do_to_them() {
    assert!(Blocklist::embedded().len() >= 10_000, "{}", Blocklist::embedded().len());
    for known in [
        "Password123456",
        "password12345678",
        "P4ssw0rd123456",
        "  sakurahospital1  ",
        "SakuraHospital2024",
        "ByouinKangoshi1",
        "1qaz2wsx3edc4rfv",
        "qwertyuiop12345",
        "asdfghjkl123456",
        "sakurasakura2026",
        "abcabcabcabc123",
        "Suzuki-Kangoshi-1",
        "パスワード1234567890",
        "ｐａｓｓｗｏｒｄ１２３４５６",
        "yamadahanako1234",
    ] {
        assert!(
            matches!(judged(known, Profile::Mhlw7), Err(Problem::Known | Problem::Guessable)),
            "{known}: {:?}",
            judged(known, Profile::Mhlw7)
        );
    }
}

#[test]
fn req_c19_what_is_made_of_the_person_or_the_hospital_is_refused() {
    for own in [
        "004711-004711-a",
        "hattori19840617",
        "junkohattori84a1",
        "HattoriJunko0617",
        "服部淳子服部淳子19840617",
        "minatobyouin0617x",
        "みなとみなとみなと0617x",
        "hattori004711jk",
    ] {
        assert!(judged(own, Profile::Mhlw7).is_err(), "{own}");
    }
    assert_eq!(
        judged("hattori wa 9 hiki no kame to oyogu", Profile::Mhlw7),
        Ok(()),
        "a sentence of one's own may name one"
    );
}

#[test]
fn easily_guessed_ones_are_refused_for_their_pattern() {
    for weak in ["aaaaaaaaaaaa1", "1111111111111a", "abcdefghijklm1"] {
        assert!(matches!(judged(weak, Profile::Mhlw7), Err(Problem::Known | Problem::Guessable)), "{weak}");
    }
}

async fn hasher() -> Hasher {
    Hasher::new(&MasterKey::generate().unwrap(), 2).unwrap()
}

impl Hasher {
    async fn kept(&self, password: &str) -> hash::Kept {
        self.keep(self.turn().await.unwrap(), secret(password), &rules()).await.unwrap()
    }

    async fn checked(&self, password: &str, kept: Option<hash::Kept>) -> hash::Checked {
        self.checked_by(password, kept, &rules()).await
    }

    async fn checked_by(&self, password: &str, kept: Option<hash::Kept>, rules: &Rules) -> hash::Checked {
        self.check(self.turn().await.unwrap(), secret(password), kept, rules).await.unwrap()
    }
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

#[tokio::test]
async fn req_c18_eighty_characters_that_differ_at_the_end_are_two_passwords() {
    let hasher = hasher().await;
    let (one, two) = (format!("{}a", "x".repeat(79)), format!("{}b", "x".repeat(79)));
    let kept = hasher.kept(&one).await;
    assert!(hasher.checked(&one, Some(kept.clone())).await.matches);
    assert!(!hasher.checked(&two, Some(kept)).await.matches);
}

#[tokio::test]
async fn req_c14_composed_and_decomposed_forms_are_one_password() {
    let hasher = hasher().await;
    let kept = hasher.kept("が\u{e9}ＡＢＣ").await;
    assert!(hasher.checked("か\u{3099}e\u{301}ABC", Some(kept)).await.matches);
}

#[tokio::test]
async fn req_c21_what_is_kept_is_salted_argon2id_that_needs_the_pepper() {
    let (one, other) = (hasher().await, hasher().await);
    let kept = one.kept("a").await;
    let text = serde_json::to_string(&kept).unwrap();
    assert!(text.contains("$argon2id$v=19$m=64,t=1,p=1$") && text.contains("nfkc"), "{text}");
    assert_ne!(text, serde_json::to_string(&one.kept("a").await).unwrap());
    assert!(!other.checked("a", Some(kept)).await.matches);
}

#[tokio::test]
async fn a_hash_of_weaker_parameters_is_renewed_when_it_matches_and_only_then() {
    let hasher = hasher().await;
    let kept = hasher.kept("a").await;
    let stronger = Rules { argon2_memory: 128, ..rules() };
    assert!(hasher.checked_by("b", Some(kept.clone()), &stronger).await.renewed.is_none());
    let renewed = hasher.checked_by("a", Some(kept), &stronger).await.renewed.unwrap();
    assert!(serde_json::to_string(&renewed).unwrap().contains("m=128"));
    let again = hasher.checked_by("a", Some(renewed), &stronger).await;
    assert!(again.matches && again.renewed.is_none());
}

#[tokio::test]
async fn atk_a40_without_a_kept_password_the_same_work_is_done_and_nothing_matches() {
    let hasher = hasher().await;
    let before = hasher.computed();
    assert!(!hasher.checked("", None).await.matches);
    assert_eq!(hasher.computed(), before + 1);
}

#[tokio::test]
async fn atk_a41_a_huge_password_is_refused_without_being_hashed_whole() {
    let hasher = hasher().await;
    let kept = hasher.kept("a").await;
    assert!(!hasher.checked(&"a".repeat(10_000_000), Some(kept)).await.matches);
}

#[tokio::test]
async fn hashing_never_runs_wider_than_its_bound() {
    let hasher = Hasher::new(&MasterKey::generate().unwrap(), 1).unwrap();
    let held = hasher.turn().await.unwrap();
    assert!(tokio::time::timeout(std::time::Duration::from_millis(20), hasher.turn()).await.is_err());
    drop(held);
    assert!(hasher.turn().await.is_ok());
}

#[tokio::test]
async fn who_would_wait_too_long_is_told_at_once_when_to_come_back() {
    let hasher = hasher().await;
    let held = [hasher.turn().await.unwrap(), hasher.turn().await.unwrap()];
    // A hash is guessed to take 20 ms: on two places five hundred are done within five seconds.
    let waiting: Vec<_> = (0..500)
        .map(|_| {
            let hasher = hasher.clone();
            tokio::spawn(async move { hasher.turn().await.map(drop) })
        })
        .collect();
    while hasher.pool().waiting < 500 {
        tokio::task::yield_now().await;
    }
    let HashError::Busy { retry_after } = hasher.turn().await.unwrap_err() else { panic!("another error") };
    assert!(retry_after > std::time::Duration::from_secs(5) && retry_after <= std::time::Duration::from_secs(6));
    assert_eq!(hasher.pool().waiting, 500, "it does not wait");
    drop(held);
    for turn in waiting {
        turn.await.unwrap().unwrap();
    }
    assert!(hasher.turn().await.is_ok());
}
