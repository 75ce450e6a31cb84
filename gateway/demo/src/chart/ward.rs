use std::time::Duration;

use model::Timestamp;
use serde_json::{Value, json};

/// A patient of the ward. Nobody of these exists.
#[derive(Debug)]
pub(super) struct Patient {
    /// `DEMO-0001`: no hospital numbers its patients so.
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) kana: &'static str,
    pub(super) birth: &'static str,
    pub(super) sex: &'static str,
    pub(super) bed: &'static str,
    pub(super) attending: &'static str,
    pub(super) reason: &'static str,
    pub(super) allergy: &'static str,
}

macro_rules! patients {
    ($($id:literal $name:literal $kana:literal $birth:literal $sex:literal $bed:literal $attending:literal $reason:literal $allergy:literal;)*) => {
        &[$(Patient {
            id: $id, name: $name, kana: $kana, birth: $birth, sex: $sex, bed: $bed,
            attending: $attending, reason: $reason, allergy: $allergy,
        }),*]
    };
}

/// The third floor, east.
pub(super) const PATIENTS: &[Patient] = patients! {
    "DEMO-0001" "架空 太郎" "カクウ タロウ" "1948-03-12" "男" "301-1" "髙瀬" "肺炎" "なし";
    "DEMO-0002" "見本 花子" "ミホン ハナコ" "1955-07-01" "女" "301-2" "髙瀬" "糖尿病 教育入院" "ペニシリン";
    "DEMO-0003" "例文 一郎" "レイブン イチロウ" "1962-11-23" "男" "301-3" "九十九" "検査入院" "なし";
    "DEMO-0004" "仮名 さくら" "カメイ サクラ" "1971-02-08" "女" "301-4" "九十九" "気管支喘息" "アスピリン";
    "DEMO-0005" "練習 次郎" "レンシュウ ジロウ" "1939-09-30" "男" "302-1" "神保" "心不全" "なし";
    "DEMO-0006" "試験 みどり" "シケン ミドリ" "1980-05-17" "女" "302-2" "神保" "急性腎盂腎炎" "なし";
    "DEMO-0007" "想定 三郎" "ソウテイ サブロウ" "1945-12-05" "男" "302-3" "髙瀬" "脱水" "そば";
    "DEMO-0008" "模擬 あおい" "モギ アオイ" "1990-08-21" "女" "302-4" "五百旗頭" "虫垂炎 術後" "なし";
    "DEMO-0009" "架空 四郎" "カクウ シロウ" "1958-04-14" "男" "303-1" "五百旗頭" "鼠径ヘルニア 術前" "なし";
    "DEMO-0010" "見本 五月" "ミホン サツキ" "1966-10-09" "女" "303-2" "宇佐見" "胆石 術後" "造影剤";
    "DEMO-0011" "例文 六郎" "レイブン ロクロウ" "1951-01-26" "男" "303-3" "宇佐見" "大腸ポリープ" "なし";
    "DEMO-0012" "仮名 七海" "カメイ ナナミ" "2001-06-18" "女" "303-4" "九十九" "急性胃腸炎" "なし";
    "DEMO-0013" "練習 八重" "レンシュウ ヤエ" "1934-03-03" "女" "305-1" "神保" "誤嚥性肺炎" "なし";
    "DEMO-0014" "試験 九" "シケン キュウ" "1976-11-11" "男" "305-2" "髙瀬" "高血圧 精査" "ラテックス";
    "DEMO-0015" "想定 十和子" "ソウテイ トワコ" "1949-08-02" "女" "305-3" "髙瀬" "慢性腎臓病" "なし";
    "DEMO-0016" "模擬 千秋" "モギ チアキ" "1984-10-28" "女" "305-4" "九十九" "貧血 精査" "なし";
    "DEMO-0017" "架空 万里" "カクウ マリ" "1997-12-19" "女" "306" "五百旗頭" "甲状腺 術後" "なし";
    "DEMO-0018" "見本 桂" "ミホン ケイ" "1969-05-05" "男" "307" "宇佐見" "膵炎" "なし";
    "DEMO-0019" "例文 楓" "レイブン カエデ" "1988-09-13" "女" "308-1" "神保" "蜂窩織炎" "セフェム系";
    "DEMO-0020" "仮名 蓮" "カメイ レン" "1960-02-29" "男" "308-2" "髙瀬" "不整脈 観察" "なし";
    "DEMO-0021" "練習 椿" "レンシュウ ツバキ" "1943-06-06" "女" "308-3" "九十九" "腰椎圧迫骨折" "なし";
    "DEMO-0022" "試験 柊" "シケン ヒイラギ" "1973-07-27" "男" "308-4" "神保" "睡眠時無呼吸 検査" "なし";
    "DEMO-0023" "想定 梓" "ソウテイ アズサ" "1992-04-04" "女" "310-1" "宇佐見" "腎結石" "なし";
    "DEMO-0024" "模擬 欅" "モギ ケヤキ" "1954-11-30" "男" "310-2" "五百旗頭" "食道静脈瘤" "なし";
};

/// The moment as the ward's clock shows it: Japan's time, `2026年11月21日 14:05`.
pub(super) fn clock_time(now: Timestamp) -> String {
    let t = now.after(Duration::from_secs(9 * 60 * 60)).utc();
    format!("{}年{}月{}日 {:02}:{:02}", t.year(), u8::from(t.month()), t.day(), t.hour(), t.minute())
}

/// The patient of that number.
pub(super) fn patient(id: &str) -> Option<&'static Patient> {
    PATIENTS.iter().find(|p| p.id == id)
}

/// The patient whom the round visits at that moment; the ward decides, not the address.
pub(super) fn on_round(now: Timestamp) -> Option<&'static Patient> {
    let turn = now.seconds().div_euclid(30);
    PATIENTS.get(usize::try_from(turn.rem_euclid(PATIENTS.len() as i64)).ok()?)
}

/// What the monitor shows: plausible, a little restless, the same for everybody who asks in the same five seconds.
pub(super) fn vitals(patient: &Patient, now: Timestamp) -> Value {
    let tick = now.seconds().div_euclid(5);
    let wave = |salt: u64, spread: u64| i64::try_from(noise(patient.id, tick, salt) % (spread + 1)).unwrap_or(0);
    let steady = |salt: u64, spread: u64| i64::try_from(noise(patient.id, 0, salt) % (spread + 1)).unwrap_or(0);
    let tenths = 362 + steady(3, 12) + wave(3, 2);
    json!({
        "patient": patient.id,
        "at": now.to_string(),
        "pulse": 62 + steady(1, 24) + wave(1, 6),
        "spo2": 95 + steady(2, 2) + wave(2, 2),
        "temperature": format!("{}.{}", tenths / 10, tenths % 10),
        "systolic": 108 + steady(4, 30) + wave(4, 5),
        "diastolic": 62 + steady(5, 20) + wave(5, 4),
        "respiration": 13 + steady(6, 4) + wave(6, 2),
    })
}

/// What the ward's feed tells at its `turn`-th moment.
pub(super) fn event(turn: u64, now: Timestamp) -> Value {
    const KINDS: [(&str, &str); 4] = [
        ("call", "ナースコール"),
        ("drip", "点滴残量わずか"),
        ("monitor", "モニター電極はずれ"),
        ("bed", "離床センサー"),
    ];
    let pick = usize::try_from(noise("ward", 0, turn)).unwrap_or(0);
    let patient = PATIENTS.get(pick % PATIENTS.len());
    let (kind, text) = KINDS.get(pick / PATIENTS.len() % KINDS.len()).copied().unwrap_or(("call", "ナースコール"));
    json!({
        "turn": turn,
        "at": now.to_string(),
        "kind": kind,
        "text": text,
        "bed": patient.map(|p| p.bed),
        "patient": patient.map(|p| p.id),
    })
}

/// FNV-1a over the three, with a last mix: no randomness is needed here.
fn noise(name: &str, tick: i64, salt: u64) -> u64 {
    let bytes = name.bytes().chain(tick.to_le_bytes()).chain(salt.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 16
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_patient_has_a_number_and_a_bed_of_his_own() {
        let ids: BTreeSet<_> = PATIENTS.iter().map(|p| p.id).collect();
        let beds: BTreeSet<_> = PATIENTS.iter().map(|p| p.bed).collect();
        assert!(PATIENTS.len() >= 20);
        assert_eq!((ids.len(), beds.len()), (PATIENTS.len(), PATIENTS.len()));
        assert!(PATIENTS.iter().all(|p| p.id.starts_with("DEMO-") && patient(p.id).is_some()));
    }

    #[test]
    fn the_wards_clock_is_nine_hours_ahead_of_utc() {
        assert_eq!(clock_time(Timestamp::from_seconds(1_795_302_060)), "2026年11月22日 08:01");
    }

    #[test]
    fn vitals_move_with_time_and_stay_in_bounds() {
        let patient = patient("DEMO-0001").unwrap();
        let at = |seconds| vitals(patient, Timestamp::from_seconds(seconds));
        assert_eq!(at(1_000)["pulse"], at(1_004)["pulse"]);
        let pulses: BTreeSet<_> = (0..100).filter_map(|i| at(i * 5)["pulse"].as_i64()).collect();
        assert!(pulses.len() > 3 && pulses.iter().all(|p| (60..=95).contains(p)), "{pulses:?}");
    }
}
