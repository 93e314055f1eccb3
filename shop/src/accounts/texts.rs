//! What the pages of accounts say.

use crate::storefront::i18n::Locale;
use crate::web::private::texts::texts;

texts! {
    /// Sentences of the account pages.
    AccountTexts {
        login_title: "Sign in" => "登录",
        login_button: "Sign in" => "登录",
        login_new: "New here? Create an account" => "还没有账户？立即注册",
        login_forgot: "Forgot your password?" => "忘记密码？",
        login_have: "Already have an account? Sign in" => "已有账户？去登录",
        login_wrong: "The e-mail address or the password is wrong, or the address was not confirmed yet."
            => "邮箱或密码不正确，或者邮箱尚未验证。",
        code_title: "One more step" => "还差一步",
        code_text: "Enter the code that your authenticator app shows, or one of your recovery codes."
            => "请输入身份验证应用显示的验证码，或一个恢复码。",
        code_button: "Continue" => "继续",
        register_title: "Create an account" => "注册账户",
        register_button: "Create account" => "注册",
        register_sent_title: "Look into your mailbox" => "请查收邮件",
        register_sent: "We have sent you a mail. Follow the link in it to go on."
            => "我们已向您发送一封邮件，请点击其中的链接继续。",
        password_hint: "At least 10 characters. A sentence is easy to remember." => "至少 10 个字符，一句话更容易记住。",
        verify_title: "Confirm your address" => "验证邮箱",
        verify_text: "Enter the password of your account to confirm that it is yours."
            => "请输入账户密码以完成验证。",
        verify_button: "Confirm" => "确认",
        verify_moved: "Your account now has the new address." => "您的账户已更换为新邮箱。",
        reset_title: "New password" => "重设密码",
        reset_text: "Tell us your address, and we send you a link to choose a new password."
            => "请输入邮箱，我们会发送重设密码的链接。",
        reset_button: "Send the link" => "发送链接",
        reset_choose_button: "Save password" => "保存密码",
        reset_done: "Your password was changed. Sign in with the new one." => "密码已修改，请使用新密码登录。",
        email: "E-mail address" => "邮箱",
        password: "Password" => "密码",
        present_password: "Present password" => "当前密码",
        new_password: "New password" => "新密码",
        code: "Code" => "验证码",
        code_if: "Code, if two-step sign-in is on" => "验证码（若已启用两步验证）",
        name: "Name" => "姓名",
        language: "Language of mails" => "邮件语言",
        account_orders: "Orders" => "订单",
        account_orders_text: "See what you ordered and where it is." => "查看订单与物流状态。",
        account_addresses: "Addresses" => "收货地址",
        account_addresses_text: "Where your orders go." => "管理收货地址。",
        account_security: "Security" => "账户安全",
        account_security_text: "Password, two-step sign-in, devices." => "密码、两步验证与登录设备。",
        account_privacy: "Your data" => "个人数据",
        account_privacy_text: "Download everything we keep, or erase your account." => "下载我们保存的数据，或注销账户。",
        account_profile: "Name and language" => "姓名与语言",
        save: "Save" => "保存",
        saved: "Saved." => "已保存。",
        logout: "Sign out" => "退出登录",
        back: "Back to your account" => "返回我的账户",
        edit: "Change" => "修改",
        delete: "Delete" => "删除",
        address_new: "New address" => "新增地址",
        address_edit: "Change address" => "修改地址",
        address_default: "Default address" => "默认地址",
        address_make_default: "Use as default" => "设为默认",
        address_none: "You have not saved an address yet." => "您还没有保存地址。",
        address_name: "Name" => "收件人",
        address_company: "Company (optional)" => "公司（选填）",
        address_line1: "Street and number" => "街道与门牌号",
        address_line2: "Flat, floor, door (optional)" => "楼栋、楼层、房号（选填）",
        address_city: "City" => "城市",
        address_region: "State or province" => "省／州",
        address_postcode: "Postcode" => "邮政编码",
        address_country: "Country" => "国家／地区",
        address_phone: "Telephone (optional)" => "电话（选填）",
        security_password: "Password" => "密码",
        security_password_text: "Other devices are signed out when you change it." => "修改后，其他设备会自动退出登录。",
        security_email: "E-mail address" => "邮箱",
        security_email_text: "We send a link to the new address. It counts as soon as you follow it."
            => "我们会向新邮箱发送链接，点击后即生效。",
        security_email_button: "Send the link" => "发送链接",
        security_email_sent: "We have sent a link to the new address." => "已向新邮箱发送链接。",
        security_totp: "Two-step sign-in" => "两步验证",
        security_totp_off: "Off. With it, signing in needs your password and a code of an app on your phone."
            => "未启用。启用后，登录需要密码和手机应用上的验证码。",
        security_totp_on: "On. Signing in needs a code of your app." => "已启用。登录时需要输入验证码。",
        security_totp_begin: "Set up" => "开始设置",
        security_totp_scan: "Scan this with an authenticator app, or type the key into it. Then enter the code that it shows."
            => "请用身份验证应用扫描二维码，或手动输入密钥，然后填写应用显示的验证码。",
        security_totp_key: "Key" => "密钥",
        security_totp_confirm: "Turn on" => "启用",
        security_totp_end: "Turn off" => "停用",
        security_codes: "Recovery codes" => "恢复码",
        security_codes_text: "Each works once in place of a code. Keep them where you find them without your phone; we cannot show them again."
            => "每个恢复码可代替验证码使用一次。请妥善保存，页面不会再次显示。",
        security_codes_new: "New recovery codes" => "重新生成恢复码",
        security_sessions: "Devices" => "登录设备",
        security_session_this: "This device" => "当前设备",
        security_session_end: "Sign out" => "退出",
        security_sessions_end: "Sign out everywhere else" => "退出所有其他设备",
        privacy_export: "Download your data" => "下载数据",
        privacy_export_text: "Your profile, addresses, devices, carts and orders, as a JSON file."
            => "包含个人资料、地址、设备、购物车和订单的 JSON 文件。",
        privacy_export_button: "Download" => "下载",
        privacy_erase: "Erase your account" => "注销账户",
        privacy_erase_text: "Your name, addresses and e-mail address are erased for good. Of orders we keep what tax law asks for, without your name."
            => "您的姓名、地址和邮箱将被永久删除。订单仅保留税法要求的内容，且不含个人信息。",
        privacy_erase_button: "Erase my account" => "永久注销账户",
        privacy_erased: "Your account was erased." => "您的账户已注销。",
    } {
        fn greeting(&str): |name| format!("Hello, {name}") => |name| format!("您好，{name}"),
        fn codes_left(i64): |count| format!("{count} recovery codes left") => |count| format!("剩余 {count} 个恢复码"),
        fn last_seen(&str): |day| format!("Last used {day}") => |day| format!("最近使用：{day}"),
    }
}

/// What service functions say is wrong with a field, in Chinese. English is what they say.
const CHINESE: &[(&str, &str)] = &[
    ("is missing", "请填写此项"),
    (
        "must be an e-mail address, such as name@example.com",
        "请输入有效的邮箱，例如 name@example.com",
    ),
    ("must have at least 10 characters", "至少需要 10 个字符"),
    ("must have at most 256 characters", "最多 256 个字符"),
    (
        "is one of the first that anyone would try; choose another",
        "该密码太常见，请换一个",
    ),
    ("is wrong", "不正确"),
    ("was changed a moment ago", "刚刚被修改，请重试"),
    (
        "is wrong or was used already; wait for the next one",
        "不正确或已使用过，请等待下一个验证码",
    ),
    (
        "was used already or is too old; ask for a new one",
        "链接已使用或已过期，请重新获取",
    ),
    (
        "the link was used already or is too old; ask for a new one",
        "链接已使用或已过期，请重新获取",
    ),
    ("must be at most 190 characters", "最多 190 个字符"),
    ("must be at most 100 characters", "最多 100 个字符"),
    ("must be at most 32 characters", "最多 32 个字符"),
    ("must be at most 16 characters", "最多 16 个字符"),
    ("must not have control characters", "包含无效字符"),
    (
        "must be a country of ISO 3166-1, such as DE",
        "请输入国家代码，例如 CN",
    ),
    (
        "is missing: addresses of this country have a state or province",
        "请填写省／州",
    ),
    (
        "is not a state or province of this country; give its code, such as CA, or its name",
        "不是该国家的省／州",
    ),
    (
        "must be 5 to 15 digits, such as +49 30 901820",
        "请输入 5 至 15 位数字",
    ),
    (
        "the address book is full; delete an address first",
        "地址簿已满，请先删除一个地址",
    ),
    (
        "the address has an account of its own now",
        "该邮箱已有账户",
    ),
    (
        "a second factor is on; turn it off first",
        "两步验证已启用，请先停用",
    ),
    (
        "there is no second factor to be confirmed",
        "没有待确认的两步验证",
    ),
    ("there is no second factor", "尚未启用两步验证"),
    (
        "an order is under way, and needs its address; erase the account when it has arrived or is cancelled",
        "有订单正在处理中，请在订单送达或取消后再注销账户",
    ),
];

/// What a service function says is wrong, in the language of a page, as a sentence.
pub(super) fn localised(locale: Locale, message: &str) -> String {
    match locale {
        Locale::En => {
            let mut letters = message.chars();
            let first = letters
                .next()
                .map(|letter| letter.to_uppercase().to_string());
            format!("{}{}.", first.unwrap_or_default(), letters.as_str())
        }
        Locale::ZhCn => CHINESE
            .iter()
            .find(|(english, _)| *english == message)
            .map(|(_, chinese)| (*chinese).to_owned())
            .or_else(|| {
                message
                    .starts_with("has not the form")
                    .then(|| "邮政编码格式不正确".to_owned())
            })
            .unwrap_or_else(|| message.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_in_the_language_of_the_page() {
        assert_eq!(localised(Locale::En, "is missing"), "Is missing.");
        assert_eq!(localised(Locale::ZhCn, "is missing"), "请填写此项");
        assert_eq!(
            localised(
                Locale::ZhCn,
                "has not the form of this country, such as 99999"
            ),
            "邮政编码格式不正确"
        );
    }
}
