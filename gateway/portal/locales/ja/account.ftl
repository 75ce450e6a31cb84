# 自分のログイン方法・パスワード・お知らせ。

own-title = ログイン方法
own-way = 方法
own-bound = 登録した日時
own-used = 最後に使った日時
own-state = 状態
own-more = 詳しく
own-add = ログイン方法を追加
own-add-title = 何を追加しますか
own-alone = 予備がありません。もう一つ登録しておくと、鍵を忘れた日や壊れた日もログインできます。
own-half-password = パスワードだけではログインできません（ロックの解除はできます）。確認コードかセキュリティキーも追加してください。
own-half-second = 確認コードとセキュリティキーは、パスワードと一緒に使います。パスワードも追加してください。
own-passkey = パスキー
own-key = セキュリティキー
own-password = パスワード
own-totp = 確認コード
own-add-passkey = これだけでログインできます。いちばんのお勧めです。
own-add-key = パスワードを入れた後に、触れて使います。
own-add-totp = パスワードを入れた後に、アプリの数字を入れて使います。
own-add-totp-again = いまの確認コードは使えなくなります。
own-add-password = ロックの解除に使えます。ログインには、この後に確認コードかセキュリティキーも追加してください。
own-by-self = ご自身で登録
own-by-desk = 窓口で登録（担当 { $officer }）
own-by-host = システム管理者が登録
own-never = まだ使っていません
own-ready = 使えます
own-off = 使えません（間違いが続いたため）
own-off-do = 新しく追加するか、窓口にお知らせください。
own-ended = { $at } に終了
own-ended-list = 使わなくなったもの（{ $count } 件）
own-label = 名前
own-new-label = 新しい名前
own-label-like = 例：青い鍵
own-rename = 名前を変える
own-end = 使うのをやめる
own-end-title = 使うのをやめますか
own-end-what = この方法では、もうログインできなくなります。元に戻すことはできません。
own-end-sessions = { $count ->
    [0] ほかの端末での利用はありません。
   *[other] ほかの端末での利用 { $count } 件も、すぐに終了します。保存していない入力は失われます。
}
own-needed = これをやめるとログインできなくなるため、いまはやめられません。先にほかの方法を追加してください。
own-done-added = 追加しました。
own-done-renamed = 名前を変えました。
own-done-ended = 使うのをやめました。ほかの端末での利用も終了しました。
own-done-password = パスワードを変更しました。ほかの端末での利用は終了しました。

password-title = パスワードの変更
password-current = いまのパスワード
password-new = 新しいパスワード
password-new-again = 新しいパスワード（もう一度）
password-change = 変更する
password-sessions = 変更すると、ほかの端末での利用 { $count } 件がすぐに終了します。保存していない入力は失われます。
password-wrong = 変更できませんでした。いまのパスワードを確かめて、もう一度お試しください。続けてできないときは、15 分ほど待つか、システム担当へお知らせください。
password-same = いまと同じパスワードです。違うものにしてください。

notices-title = お知らせ
notices-empty = お知らせはありません。ログイン方法の登録や変更、はじめての端末からのログインがあると、ここに表示されます。
notices-new = 新着
notices-seen = すべて確認しました
notices-object = 心当たりのないものがあるときは、すぐにシステム担当へお知らせください。その方法は「ログイン方法」からご自身でも止められます。
notices-waiting = 新しいお知らせが { $count } 件あります
notice-bound = 「{ $what }」が登録されました。
notice-ended = 「{ $what }」を使うのをやめました。
notice-password = パスワードが変更されました。
notice-off = 間違いが続いたため、「{ $what }」は使えなくなりました。使うには新しく登録してください。
notice-closed = 「{ $what }」の間違いが 10 回続いたため、その端末では 15 分間使えなくなりました（区域 { $zone }）。ほかの端末では使えます。
notice-copied = 「{ $what }」が複製されたおそれがあります。すぐにシステム担当へお知らせください。
notice-code = 窓口で、あなたの登録コードが発行されました（担当 { $officer }）。
notice-elsewhere = はじめての端末でログインがありました（区域 { $zone }、アドレス { $address }）。
notice-other = ログインに関わる変更がありました。

login-key-title = セキュリティキーの確認
login-key-line = セキュリティキーを差し込み、光ったら触れてください。
login-key-button = セキュリティキーで続ける
login-by-code = 確認コードで続ける
login-by-key = セキュリティキーで続ける
login-only-passkey = パスワードと一緒に使うものが登録されていません。パスキーでログインしてください。
enrol-key-title = セキュリティキーの登録
enrol-key-line = パスワードを入れた後に、このキーに触れてログインします。ボタンを押して、キーを差し込み、光ったら触れてください。
enrol-key-button = セキュリティキーを登録する
enrol-key-failed = セキュリティキーを登録できませんでした。もう一度ボタンを押してください。
enrol-key-instead = アプリの代わりにセキュリティキーを使う
enrol-totp-instead = セキュリティキーの代わりに確認コードのアプリを使う
