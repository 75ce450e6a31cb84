# The words of the pages. One word for one thing.

busy = Working on it. Please wait.

act-continue = Continue
act-lock = Lock
act-logout = Log out
act-end = End
act-show = Show
act-hide = Hide
act-login = Log in
act-unlock = Unlock
act-back = Back
act-launcher = Go to your apps

badge-zone = Zone
badge-remaining = { $hours } h { $minutes } min left
foot-help = Help desk
foot-request = Request

field-name = Name
field-staff-no = Staff number
field-department = Department
field-password = Password
field-password-again = Password (again)
field-code = Verification code
field-enrolment-code = Enrolment code

login-title = Log in
login-for = To open:
login-name = Staff number
login-first-time = First time here? Use your enrolment code
login-passkey-line = Follow your security key or this device.
login-passkey-button = Log in with a passkey
login-by-password = Log in with password and verification code
login-by-passkey = Log in with a passkey
login-other-name = Enter another staff number
login-password-title = Enter your password
login-code-title = Enter your verification code
login-code-line = Type the 6 digits that your verification code app shows.
login-done-title = You are logged in
login-done-what = Opening your page.
login-failed = That did not work. Check your staff number and what you entered, and try again. If it keeps failing, wait 15 minutes or call the help desk.
login-expired-title = Out of time
login-expired-what = This login took too long, or it went on in another window.
login-expired-do = Please start again.
login-elsewhere-title = Begun somewhere else
login-elsewhere-what = This login was begun at another network address than yours. If somebody sent you a link, do not go on with it.
login-elsewhere-do = Please start again from the app.
onward-title = You are logged in
onward-what = Press the button to open your page.
onward-frame = To see this part, open it in a tab of its own. After that, reload the page around it.

passkey-failed = The passkey could not be checked. Press the button to try again.
passkey-unsupported = This browser cannot use passkeys or security keys. Please use another way.
passkey-noscript = Passkeys and security keys need JavaScript to be switched on.
passkey-waiting = Waiting for your key or device.

confirm-title = Confirm it's you
confirm-passkey-button = Confirm with a passkey
lock-title = Screen locked
lock-passkey-button = Unlock with a passkey
lock-password-button = Unlock
lock-by-password = Unlock with your password
lock-by-passkey = Unlock with a passkey
lock-failed = That did not unlock it. Please try again. If it keeps failing, wait 15 minutes or call the help desk.
lock-other-person = Somebody else needs this station? Log out first. Input that was not saved is lost.
lock-done-title = Unlocked

logout-title = You are logged out
logout-what = Nobody is logged in here any more.
enrol-title = First-time enrolment
enrol-start-what = Enter the enrolment code you were given at the desk. It works once, for 10 minutes.
enrol-have = Already enrolled? Log in
enrol-failed = The staff number or the enrolment code is wrong, or the code is too old. Check both, or get a new code at the desk.
enrol-person-title = Is this you?
enrol-person-yes = Yes, this is me
enrol-person-no = If not, stop here and tell the desk.
enrol-passkey-title = Add a passkey
enrol-passkey-line = From now on a passkey is all you need to log in. Press the button and follow your security key or this device.
enrol-passkey-button = Add a passkey
enrol-passkey-failed = The passkey could not be added. Press the button to try again.
enrol-without-passkey = Use a password and a verification code instead
enrol-second-title = Add a second way as well?
enrol-second-why = For the day your passkey is not at hand, we suggest a password with a verification code too.
enrol-second-yes = Add a password and a verification code
enrol-second-no = Finish without
enrol-password-title = Choose a password
enrol-password-mhlw = At least { $least } characters with letters and digits. A long sentence is best. You may paste.
enrol-password-nist = At least { $least } characters. A long sentence is best. You may paste.
enrol-password-differs = The two entries differ. Please enter them again.
enrol-totp-title = Add verification codes
enrol-totp-scan = Scan this picture with your verification code app, then type the 6 digits it shows.
enrol-totp-qr = Picture to scan with your verification code app
enrol-totp-type = Cannot scan it? Type this instead
enrol-code-wrong = That verification code is wrong. Wait for new digits and try again.
enrol-done-title = You are enrolled
enrol-done-what = You can now log in.

launcher-title = Your apps
launcher-empty = There is no app for you right now. Apps show here as soon as you have a right to them. If you expected one, call the help desk.

sessions-title = Where you are logged in
sessions-count = { $count ->
    [one] { $count } session
   *[other] { $count } sessions
}
sessions-station = Station
sessions-zone = Zone
sessions-since = Since
sessions-act = Last used
sessions-state = State
sessions-here = This one
sessions-active = In use
sessions-locked = Locked
sessions-effect = Ending one closes what is open on that station at once; input that was not saved is lost.
sessions-others = End all others
sessions-ended = Ended.
sessions-gone = That one has already ended.

cli-title = Code for the command line
cli-what = Shows a code with which sekimorictl logs in as you. It works once, for 10 minutes. Show it to nobody.
cli-show = Show a code
cli-here = Give this code to sekimorictl.
cli-until = It works once, until { $until }.
enrol-totp-again = Show the picture again (it will be a new one)
password-too-short = Use at least { $least } characters.
password-too-long = Use at most 128 characters.
password-unprintable = It has characters that cannot be used.
password-not-mixed = Use both letters and digits.
password-known = This password is widely known. Please choose another.
password-personal = It is made of names or numbers about you or this hospital. Please choose another.
password-guessable = It is easily guessed. A long sentence is better.
