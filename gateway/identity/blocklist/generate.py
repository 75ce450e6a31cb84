#!/usr/bin/env python3
"""Makes passwords.txt, the list of passwords that everybody tries first (C-19, D-6.2.4).

    python3 gateway/identity/blocklist/generate.py            writes the list
    python3 gateway/identity/blocklist/generate.py --check    says whether it is what this makes

Nothing here was copied from a leaked or licensed list: the words are our own choice, the rest is
patterns (words and words, years, runs on keyboards, dates). The gateway compares a password whole, in
small letters, also without spaces and marks, without digits at its end, with letters for the digits
that stand for them, and as one part said several times. So an entry has no capitals and no marks, and
digits at the end of long words are left out here.
"""

import itertools
import pathlib
import sys

# What people begin with, in English and in romaji.
COMMON = """
password passwort passcode passphrase welcome letmein admin administrator root guest user login logon
secret private master manager system server network computer internet windows desktop default changeme
change temporary initial testing test sample demo example qwerty asdfgh zxcvbn abc abcd abcdef iloveyou
sunshine princess football baseball basketball monkey dragon shadow superman batman pokemon summer winter
spring autumn hello freedom whatever trustno computer japan tokyo osaka nagoya kyoto fukuoka sapporo
yokohama kobe hiroshima sendai okinawa hokkaido security keyword opensesame access control support service
""".split()

ROMAJI = """
sakura himawari ajisai tsubaki momiji kaede ume fuji fujisan yama kawa umi sora hoshi tsuki taiyou hikari
kaze yuki hana hanabi haru natsu aki fuyu ai yume kibou egao shiawase kokoro inochi kizuna arigatou
konnichiwa ohayou sayonara ganbaru ganbare daisuki aishiteru neko inu usagi kuma tora ryuu nihon nippon
toukyou oosaka kyouto samurai ninja geisha sushi ramen tempura mikan ringo ichigo momo anpanman doraemon
pikachu totoro naruto himitsu angou aikotoba kanri kanrisha sekimori sensei kaisha shokuin jimu
""".split()

HOSPITAL = """
hospital clinic doctor nurse kango kangoshi kangofu byouin byoin iin iryou iryo ishi isha kanja shinryou
shinryo shinsatsu karute karte chart nyuuin taiin geka naika shounika sanfujinka seikei ganka jibika hifuka
seishinka houshasen hoshasen rentogen yakkyoku yakuzai yakuzaishi kensa kensashitsu rihabiri kyuukyuu
kyukyu shujutsu shujutsushitsu byoutou byouto gairai uketsuke iji ijika jimukyoku inchou incho fukuinchou
shichou kangobu kangobuchou shunin ward emergency surgery radiology pharmacy laboratory medical medicine
patient health healthcare denshi denshikarute pacs dicom orthanc ekarte ordering
""".split()

FAMILY = """
satou suzuki takahashi tanaka itou watanabe yamamoto nakamura kobayashi katou yoshida yamada sasaki
yamaguchi matsumoto inoue kimura hayashi shimizu yamazaki mori abe ikeda hashimoto yamashita ishikawa
nakajima maeda fujita ogawa gotou okada hasegawa murakami kondou ishii saitou sakamoto endou aoki fujii
nishimura fukuda oota miura fujiwara okamoto matsuda nakagawa nakano harada ono tamura takeuchi kaneko
wada nakayama ishida ueda morita hara shibata sakai kudou yokoyama miyazaki miyamoto uchida takagi andou
taniguchi oono maruyama imai takada fujimoto takeda murata ueno sugiyama masuda sugawara hirano kojima
chiba kubo matsui iwasaki sakurai kinoshita noguchi matsuo nomura kikuchi sano oonishi sugimoto arai
""".split()

GIVEN = """
hiroshi takashi kenji ichirou jirou tarou akira makoto satoshi kazuya daisuke shouta ren haruto yuuto souta
minato hinata yuuma youko keiko kazuko sachiko yuko yuuko naomi tomoko kumiko akemi mayumi emi aya
misaki nanami yui hina rin mei sakurako hanako tarou
""".split()

KEYBOARD_ROWS = ["1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "0987654321", "poiuytrewq", "lkjhgfdsa", "mnbvcxz"]
COLUMNS = ["1qaz", "2wsx", "3edc", "4rfv", "5tgb", "6yhn", "7ujm", "8ik", "9ol", "0p", "zaq1", "xsw2", "cde3", "vfr4", "bgt5", "nhy6"]
JAPANESE = """
ぱすわーど パスワード びょういん ビョウイン かんごし カンゴシ さくら サクラ ひまわり ヒマワリ ありがとう
アリガトウ こんにちは だいすき せきもり 関守 病院 看護師 医師 電子カルテ 管理者 職員 秘密 暗号 合言葉
""".split()
YEARS = [str(year) for year in range(1950, 2036)]


def words():
    """Single words, and two together."""
    yield from COMMON + ROMAJI + HOSPITAL + FAMILY + GIVEN
    firsts = COMMON[:34] + ROMAJI[:40] + HOSPITAL
    seconds = ["hospital", "clinic", "byouin", "byoin", "password", "pass", "kangoshi", "kango", "nurse", "doctor",
               "admin", "karte", "karute", "desu", "love", "daisuki", "sakura", "japan", "tokyo", "system", "login",
               "kanri", "kanrisha", "user", "ward", "iryou", "naika", "geka"]
    for first, second in itertools.product(firsts, seconds):
        if first != second:
            yield first + second
    for first, second in itertools.product(FAMILY, ["kango", "kangoshi", "sensei", "byouin", "byoin", "hospital", "clinic", "naika", "geka", "iin"]):
        yield first + second
    for family, given in itertools.product(FAMILY[:60], GIVEN):
        yield family + given


def dated():
    """A short word with a year before or after it, and a year between two."""
    for word, year in itertools.product(COMMON[:30] + ROMAJI[:50] + HOSPITAL[:30], YEARS[50:]):
        yield word + year
        yield year + word
    for word, tail in itertools.product(COMMON + ROMAJI + HOSPITAL, ["123", "1234", "12345", "123456", "1", "01", "007", "abc", "2000", "777", "1111"]):
        yield word + tail


def keyboard():
    """Runs along rows and down columns."""
    for row in KEYBOARD_ROWS:
        for length in range(4, len(row) + 1):
            for start in range(len(row) - length + 1):
                yield row[start:start + length]
    for first, second in itertools.permutations(KEYBOARD_ROWS, 2):
        for length in range(3, 8):
            yield first[:length] + second[:length]
    for count in (2, 3, 4):
        for run in itertools.permutations(COLUMNS[:6], count) if count < 4 else zip(COLUMNS, COLUMNS[1:], COLUMNS[2:], COLUMNS[3:]):
            yield "".join(run)
    letters = "abcdefghijklmnopqrstuvwxyz"
    for length in range(4, 27):
        yield letters[:length]
        yield letters[::-1][:length]
        for digits in ("1", "12", "123", "1234", "12345", "123456", "1234567", "12345678", "123456789", "1234567890"):
            yield letters[:length] + digits
            yield digits + letters[:length]
    for digit in "0123456789":
        for length in range(4, 17):
            yield digit * length
    for length in range(4, 21):
        yield ("1234567890" * 2)[:length]
        yield ("0123456789" * 2)[:length]
        yield ("9876543210" * 2)[:length]


def japanese():
    """Words in kana and kanji, with what is put after them."""
    for word in JAPANESE:
        for tail in ["", "1", "12", "123", "1234", "12345", "123456"] + YEARS[65:]:
            yield word + tail


def entries():
    """All of them, once, in order; what no profile would accept for its length stays in for its stem."""
    made = {entry.lower() for entry in itertools.chain(words(), dated(), keyboard(), japanese())}
    return sorted(entry for entry in made if len(entry) >= 4)


def main():
    """Writes or checks the file beside this script."""
    file = pathlib.Path(__file__).with_name("passwords.txt")
    text = "\n".join(entries()) + "\n"
    if "--check" in sys.argv[1:]:
        same = file.read_text(encoding="utf-8") == text
        print("passwords.txt is " + ("up to date" if same else "not what generate.py makes"))
        return 0 if same else 1
    file.write_text(text, encoding="utf-8")
    print(f"{text.count(chr(10))} entries")
    return 0


if __name__ == "__main__":
    sys.exit(main())
