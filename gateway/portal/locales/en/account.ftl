# A person's own ways to log in, password, notices.

own-title = Ways to log in
own-way = Way
own-bound = Added
own-used = Last used
own-state = State
own-more = Details
own-add = Add a way to log in
own-add-title = What would you like to add?
own-alone = You have no spare. With a second one you can log in on the day your key is forgotten or broken.
own-half-password = A password alone does not log you in (it does unlock the screen). Add a verification code or a security key as well.
own-half-second = Verification codes and security keys go with a password. Add a password as well.
own-passkey = Passkey
own-key = Security key
own-password = Password
own-totp = Verification code
own-add-passkey = All you need to log in. We suggest this one.
own-add-key = To touch after you have entered your password.
own-add-totp = Digits of an app, after you have entered your password.
own-add-totp-again = The codes you have now will stop working.
own-add-password = It unlocks the screen. To log in with it, add a verification code or a security key after this.
own-by-self = Added by yourself
own-by-desk = Added at the desk (officer { $officer })
own-by-host = Added by the system administrator
own-never = Not used yet
own-ready = Ready to use
own-off = Switched off (too many wrong tries)
own-off-do = Add a new one, or tell the desk.
own-ended = Ended { $at }
own-ended-list = { $count ->
    [one] No longer used ({ $count })
   *[other] No longer used ({ $count })
}
own-label = Label
own-new-label = New label
own-label-like = for example: blue key
own-rename = Change the label
own-end = Stop using it
own-end-title = Stop using it?
own-end-what = Nobody will be able to log in with it any more. This cannot be undone.
own-end-sessions = { $count ->
    [0] You are not logged in anywhere else.
    [one] Your other session ends at once too; input that was not saved is lost.
   *[other] Your { $count } other sessions end at once too; input that was not saved is lost.
}
own-needed = You could not log in without it, so it has to stay for now. Add another way first.
own-done-added = Added.
own-done-renamed = The label is changed.
own-done-ended = It is not used any more. Your other sessions have ended.
own-done-password = Your password is changed. Your other sessions have ended.

password-title = Change your password
password-current = Current password
password-new = New password
password-new-again = New password (again)
password-change = Change it
password-sessions = { $count ->
    [one] Your other session ends at once when you change it; input that was not saved is lost.
   *[other] Your { $count } other sessions end at once when you change it; input that was not saved is lost.
}
password-wrong = It was not changed. Check your current password and try again. If it keeps failing, wait 15 minutes or call the help desk.
password-same = That is the password you have now. Please choose another.

notices-title = Notices
notices-empty = No notices. When a way to log in is added or changed, or somebody logs in as you from a new station, it shows here.
notices-new = New
notices-seen = I have seen them all
notices-object = If one of them was not you, call the help desk at once. You can also stop that way to log in yourself, under "Ways to log in".
notices-waiting = { $count ->
    [one] You have { $count } new notice
   *[other] You have { $count } new notices
}
notice-bound = "{ $what }" was added.
notice-ended = "{ $what }" is not used any more.
notice-password = Your password was changed.
notice-off = "{ $what }" was switched off after too many wrong tries. To use one again, add a new one.
notice-closed = "{ $what }" was wrong ten times in a row and does not work on that station for 15 minutes (zone { $zone }). It works everywhere else.
notice-copied = "{ $what }" may have been copied. Call the help desk at once.
notice-code = An enrolment code for you was issued at the desk (officer { $officer }).
notice-elsewhere = You logged in from a new station (zone { $zone }, address { $address }).
notice-other = Something about your login has changed.

login-key-title = Your security key
login-key-line = Plug your security key in, and touch it when it blinks.
login-key-button = Continue with your security key
login-by-code = Continue with a verification code
login-by-key = Continue with your security key
login-only-passkey = Nothing is enrolled that goes with your password. Please log in with your passkey.
enrol-key-title = Add a security key
enrol-key-line = You will touch this key after you have entered your password. Press the button, plug the key in, and touch it when it blinks.
enrol-key-button = Add a security key
enrol-key-failed = The security key could not be added. Press the button to try again.
enrol-key-instead = Use a security key instead of an app
enrol-totp-instead = Use a verification code app instead of a security key
