# 画面の言葉。語は一つの物に一つ。

busy = 処理しています。このままお待ちください。

act-continue = 次へ
act-lock = 画面ロック
act-logout = ログアウト
act-end = 終了する
act-show = 表示
act-hide = 隠す
act-login = ログイン
act-unlock = ロック解除
act-launcher = アプリ一覧へ

badge-zone = 区域
badge-remaining = 残り { $hours } 時間 { $minutes } 分
foot-help = 困ったときは（システム担当）
foot-request = 受付番号

field-name = 氏名
field-staff-no = 職員番号
field-department = 所属
field-password = パスワード
field-password-again = パスワード（もう一度）
field-code = 確認コード
field-enrolment-code = 登録コード

login-title = ログイン
login-for = 開くもの：
login-name = 職員番号
login-first-time = はじめての方（登録コードをお持ちの方）
login-passkey-line = セキュリティキーまたは端末の指示に従ってください。
login-passkey-button = パスキーでログイン
login-by-password = パスワードと確認コードでログイン
login-by-passkey = パスキーでログイン
login-other-name = 職員番号を入れ直す
login-password-title = パスワードの入力
login-code-title = 確認コードの入力
login-code-line = 確認コードのアプリに表示されている 6 桁の数字を入れてください。
login-done-title = ログインしました
login-done-what = 画面を開いています。
login-failed = ログインできませんでした。職員番号と入力内容を確かめて、もう一度お試しください。続けてできないときは、15 分ほど待つか、システム担当へお知らせください。
login-expired-title = 時間切れです
login-expired-what = ログインの途中で時間が過ぎたか、別の画面で続きが行われました。
login-expired-do = はじめからやり直してください。

passkey-failed = パスキーを確認できませんでした。もう一度ボタンを押してください。
passkey-unsupported = このブラウザではパスキーを使えません。ほかの方法をお使いください。
passkey-noscript = パスキーを使うには JavaScript を有効にしてください。
passkey-waiting = パスキーの操作を待っています。

confirm-title = 再認証
confirm-passkey-button = パスキーで再認証
lock-title = 画面ロック中
lock-passkey-button = パスキーでロック解除
lock-password-button = ロック解除
lock-by-password = パスワードで解除
lock-by-passkey = パスキーで解除
lock-failed = ロックを解除できませんでした。もう一度お試しください。続けてできないときは、15 分ほど待つか、システム担当へお知らせください。
lock-other-person = ほかの人がこの端末を使うときは、先にログアウトしてください。保存していない入力は失われます。
lock-done-title = ロックを解除しました

logout-title = ログアウトしました
logout-what = この端末での利用を終えました。
enrol-title = はじめての登録
enrol-start-what = 窓口で受け取った登録コードを入れてください。コードは 10 分間、1 回だけ使えます。
enrol-have = 登録がお済みの方はログイン
enrol-failed = 職員番号または登録コードが違うか、期限が過ぎています。確かめるか、窓口で新しいコードを受け取ってください。
enrol-person-title = ご本人ですか
enrol-person-yes = はい、本人です
enrol-person-no = 違うときは、ここで止めて窓口にお知らせください。
enrol-passkey-title = パスキーの登録
enrol-passkey-line = 次からはパスキーだけでログインできます。ボタンを押して、セキュリティキーまたは端末の指示に従ってください。
enrol-passkey-button = パスキーを登録する
enrol-passkey-failed = パスキーを登録できませんでした。もう一度ボタンを押してください。
enrol-without-passkey = パスキーを使わず、パスワードと確認コードを登録する
enrol-second-title = もう一つの方法も登録しますか
enrol-second-why = パスキーが使えないときのために、パスワードと確認コードも登録しておくことをお勧めします。
enrol-second-yes = パスワードと確認コードも登録する
enrol-second-no = 登録せずに終える
enrol-password-title = パスワードを決める
enrol-password-mhlw = 英字と数字を両方含む、{ $least } 文字以上。長い文がお勧めです。貼り付けもできます。
enrol-password-nist = { $least } 文字以上。長い文がお勧めです。貼り付けもできます。
enrol-password-differs = 2 回の入力が違います。もう一度入れてください。
enrol-back = 戻る
enrol-totp-title = 確認コードの登録
enrol-totp-scan = 確認コードのアプリでこの図を読み取り、表示された 6 桁の数字を入れてください。
enrol-totp-qr = 確認コードのアプリで読み取る図
enrol-totp-type = 読み取れないときは、この文字を入力
enrol-code-wrong = 確認コードが違います。新しい数字が表示されてから、もう一度お試しください。
enrol-done-title = 登録が終わりました
enrol-done-what = 登録した方法でログインできます。

launcher-title = アプリ一覧
launcher-empty = いま使えるアプリはありません。権限が付くとここに表示されます。心当たりがないときはシステム担当へお知らせください。

sessions-title = 利用中の端末
sessions-count = { $count } 件
sessions-station = 端末
sessions-zone = 区域
sessions-since = 開始
sessions-until = 期限
sessions-state = 状態
sessions-here = この端末
sessions-active = 利用中
sessions-locked = 画面ロック中
sessions-effect = 「終了する」を押すと、その端末で開いている画面はすぐに使えなくなり、保存していない入力は失われます。
sessions-ended = 終了しました。
sessions-gone = その端末の利用はすでに終わっています。

cli-title = コマンド用のコード
cli-what = sekimorictl でログインするためのコードを表示します。コードは 10 分間、1 回だけ使えます。人に見せないでください。
cli-show = コードを表示する
cli-here = sekimorictl に次のコードを入れてください。
cli-until = { $until } まで、1 回だけ使えます。
enrol-passkey-label = パスキー
enrol-totp-again = 図をもう一度表示する（新しい図になります）
password-too-short = { $least } 文字以上にしてください。
password-too-long = 128 文字以内にしてください。
password-unprintable = 使えない文字が入っています。
password-not-mixed = 英字と数字を両方入れてください。
password-known = 広く知られているパスワードです。ほかのものにしてください。
password-personal = ご自身や病院の名前・番号がもとになっています。ほかのものにしてください。
password-guessable = 推測されやすいパスワードです。長い文などにしてください。
