# Words of the hosted page. Every language has the same messages; a test compares them.

language-name = English
language-label = Language
page-name = Password reset
error-prefix = Error
error-summary = There is a problem
continue = Continue
try-again = Try again
start-again = Start again
log-in = Log in
help = Get help
privacy = Privacy
reference = If you ask for help, quote this: { $id }

start-title = Reset your password
start-lead = Enter your login. If the details are right, a code is on its way to your e-mail.
login-label = Login or e-mail address
login-empty = Enter your login
login-malformed = Check your login: it holds a character that no login has, or it is too long

question-title = Your secret question
question-lead = You chose this question when you opened your account.
answer-label = Your answer
answer-empty = Enter your answer
answer-wrong = This answer is not right. Try again
answer-needed = To have a new code sent, answer your question again.
answer-too-long = This answer is too long

code-title = Check your e-mail
code-lead = If the details are right, a code is on its way to the e-mail address of your account.
code-new = A new code was asked for. Use the newest one that you get.
code-label = Code from the e-mail
code-hint =
    { $digits ->
        [one] { $digits } digit. You can paste it.
       *[other] { $digits } digits. You can paste it.
    }
code-malformed =
    { $digits ->
        [one] Enter the { $digits } digit of the code
       *[other] Enter the { $digits } digits of the code
    }
code-wrong = This code is not right, or it is too old. Check it, or have a new one sent
time-limit =
    { $minutes ->
        [one] This page works for { $minutes } minute.
       *[other] This page works for { $minutes } minutes.
    }
time-short = Less than two minutes are left. Choose “{ more-time }” if you need longer.
more-time = I need more time
time-given = You have the whole time again.
time-not-given = You cannot have more time.
no-mail = No e-mail?
no-mail-wait = It can take a few minutes. Look into the folder for spam, too. We send only a few codes in an hour.
no-mail-login = You entered “{ $login }”. If that is not your login, start again.
send-again = Send a new code

password-title = Choose a new password
password-advice = A few words that do not belong together are easy to remember and hard to guess. We take no password that many people use, and none that is little more than your login or our name.
password-hint =
    { $characters ->
        [one] { $characters } character or more.
       *[other] { $characters } characters or more.
    }
password-label = New password
password-again = The new password again
password-show = Show the password
password-enough = Long enough
password-set = Set the password
password-empty = Enter a new password
password-too-short =
    { $characters ->
        [one] Choose a password of { $characters } character or more
       *[other] Choose a password of { $characters } characters or more
    }
password-too-long =
    { $characters ->
        [one] Choose a password of { $characters } character or fewer
       *[other] Choose a password of { $characters } characters or fewer
    }
password-easy = This password is one of the first that somebody would guess. Choose a few words that do not belong together
password-named = This password is little more than your login or our name. Choose a few words that do not belong together
passwords-differ = The two passwords are not the same
password-refused = The password was not accepted:
password-not-accepted = The password was not accepted. Choose another one

done-title = Your password is set
done-lead = You can now log in with it.

wait-minutes =
    { $minutes ->
        [one] Please try again in { $minutes } minute.
       *[other] Please try again in { $minutes } minutes.
    }
limits-title = Too many attempts
limits-lead = To keep accounts safe, we take only so many in a while.
later-title = Password reset is not available at the moment
later-lead = This is not your fault, and nothing was changed.
codes-title = No codes are taken at the moment
codes-lead = Your code was not tried and is not used up.
ended-title = This reset has ended
ended-lead = It was open for too long, or it was finished in another window. If you have set a new password, log in with it.
unknown-title = We do not know whether that worked
unknown-mail = A code may be on its way. Wait for a few minutes and look at your e-mail before you start again.
enter-code = Enter the code
unknown-password = Try to log in with the new password. If that does not work, start again.
cookies-title = Your browser keeps no cookies for this page
cookies-lead = Allow cookies for it, then start again. They keep your reset apart from others, and are gone after a day at the latest.
other-site-title = This form came from another page
other-site-lead = To keep accounts safe, we take forms of our own page alone. Start again here.
other-window-title = You have begun another reset since
other-window-lead = Go on in the newer window, or start again.
not-found-title = There is no such page
not-found-lead = Check the address, or start again.
too-long-title = What you entered is too long
too-long-lead = Please check it and start again.
broken-title = Something went wrong here
broken-lead = This is not your fault. Please start again.
