language-name = 简体中文
language-label = 语言
page-name = 重置密码
error-prefix = 错误
error-summary = 出现问题
continue = 继续
try-again = 重试
start-again = 重新开始
log-in = 登录
help = 获取帮助
privacy = 隐私
reference = 如需帮助，请提供此编号：{ $id }

start-title = 重置您的密码
start-lead = 请输入您的登录名。如果信息正确，验证码将发送到您的电子邮箱。
login-label = 登录名或电子邮箱
login-empty = 请输入您的登录名
login-malformed = 请检查您的登录名：其中含有登录名不会有的字符，或者过长

question-title = 您的安全问题
question-lead = 这是您开户时选择的问题。
answer-label = 您的答案
answer-empty = 请输入您的答案
answer-wrong = 答案不正确，请重试
answer-needed = 如需新的验证码，请再次回答您的问题。
answer-too-long = 答案过长

code-title = 请查收电子邮件
code-lead = 如果信息正确，验证码正在发送到您账户的电子邮箱。
code-new = 已请求新的验证码。请使用收到的最新验证码。
code-label = 邮件中的验证码
code-hint =
    { $digits ->
       *[other] { $digits } 位数字，可以粘贴。
    }
code-malformed =
    { $digits ->
       *[other] 请输入 { $digits } 位数字的验证码
    }
code-wrong = 验证码不正确或已过期。请检查，或重新发送
time-limit =
    { $minutes ->
       *[other] 此页面在 { $minutes } 分钟内有效。
    }
time-short = 剩余时间不足两分钟。如需更多时间，请选择“{ more-time }”。
more-time = 我需要更多时间
time-given = 已重新计时。
time-not-given = 无法再延长时间。
no-mail = 没有收到邮件？
no-mail-wait = 可能需要几分钟。请同时查看垃圾邮件文件夹。我们每小时只发送少量验证码。
no-mail-login = 您输入的是“{ $login }”。如果这不是您的登录名，请重新开始。
send-again = 重新发送验证码

password-title = 请设置新密码
password-advice = 几个互不相关的词语容易记住，也难以猜到。许多人使用的密码，以及与您的登录名或我们的名称几乎相同的密码，都不会被接受。
password-hint =
    { $characters ->
       *[other] 至少 { $characters } 个字符。
    }
password-label = 新密码
password-again = 再次输入新密码
password-show = 显示密码
password-enough = 长度足够
password-set = 设置密码
password-empty = 请输入新密码
password-too-short =
    { $characters ->
       *[other] 请选择至少 { $characters } 个字符的密码
    }
password-too-long =
    { $characters ->
       *[other] 请选择不超过 { $characters } 个字符的密码
    }
password-easy = 此密码很容易被猜到。请选择几个互不相关的词语
password-named = 此密码几乎就是您的登录名或我们的名称。请选择几个互不相关的词语
passwords-differ = 两次输入的密码不一致
password-refused = 密码未被接受：
password-not-accepted = 密码未被接受，请选择其他密码

done-title = 您的密码已设置
done-lead = 现在可以使用新密码登录。

wait-minutes =
    { $minutes ->
       *[other] 请在 { $minutes } 分钟后重试。
    }
limits-title = 尝试次数过多
limits-lead = 为保护账户安全，我们限制一段时间内的尝试次数。
later-title = 目前无法重置密码
later-lead = 这不是您的问题，没有任何更改。
codes-title = 目前不接受验证码
codes-lead = 您的验证码没有被使用，仍然有效。
ended-title = 此次重置已结束
ended-lead = 打开的时间过长，或已在其他窗口完成。如果您已设置新密码，请用它登录。
unknown-title = 我们不知道操作是否成功
unknown-mail = 验证码可能正在发送。请等待几分钟并查看邮箱，然后再重新开始。
enter-code = 输入验证码
unknown-password = 请尝试用新密码登录。如果不行，请重新开始。
cookies-title = 您的浏览器没有为此页面保存 Cookie
cookies-lead = 请允许此页面使用 Cookie，然后重新开始。它们用于区分您的重置操作，最迟一天后删除。
other-site-title = 此表单来自其他页面
other-site-lead = 为保护账户安全，我们只接受本页面的表单。请在此重新开始。
other-window-title = 您之后又开始了另一次重置
other-window-lead = 请在较新的窗口中继续，或重新开始。
not-found-title = 没有此页面
not-found-lead = 请检查地址，或重新开始。
too-long-title = 您输入的内容过长
too-long-lead = 请检查后重新开始。
broken-title = 这里出了问题
broken-lead = 这不是您的问题。请重新开始。
