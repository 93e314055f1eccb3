//! The sentences of the checkout.

use crate::web::private::texts::texts;

texts! {
    /// Sentences of the checkout page.
    CheckoutTexts {
        title: "Checkout" => "结算",
        contact: "Contact" => "联系方式",
        email: "E-mail address" => "电子邮箱",
        email_hint: "For the confirmation and news of the delivery." => "用于发送订单确认和配送通知。",
        sign_in: "Have an account? Sign in" => "已有账户？登录",
        delivery: "Delivery" => "收货地址",
        name: "Full name" => "姓名",
        company: "Company (optional)" => "公司（选填）",
        line1: "Street and number" => "街道和门牌号",
        line2: "Flat, building (optional)" => "楼层、单元（选填）",
        postcode: "Postcode" => "邮政编码",
        city: "City" => "城市",
        region: "State or province" => "省 / 州",
        region_hint: "Where addresses of your country have one." => "如该国家或地区的地址需要，请填写。",
        country: "Country or region" => "国家或地区",
        phone: "Telephone (optional)" => "电话（选填）",
        billing_other: "Bill to another address" => "使用其他账单地址",
        shipping: "Shipping" => "配送方式",
        shipping_after: "Enter your address and press “Show shipping” to see how we can send it."
            => "填写地址后点击“查看配送方式”，即可选择配送方式。",
        shipping_none: "We do not send to this address." => "我们暂不配送到该地址。",
        show_shipping: "Show shipping" => "查看配送方式",
        update: "Update" => "更新",
        free: "Free" => "免运费",
        payment: "Payment" => "付款",
        payment_free: "There is nothing to pay." => "无需付款。",
        payment_none: "The shop cannot take payments at the moment." => "商店目前无法收款。",
        test_card_hint: "This shop is being tried out: no money is moved. 4242 4242 4242 4242 is accepted, 4000 0000 0000 3220 asks for a second step."
            => "本店正在试运行，不会产生任何扣款。卡号 4242 4242 4242 4242 会通过，4000 0000 0000 3220 需要二次确认。",
        card_number: "Card number" => "卡号",
        card_script: "Paying by card needs JavaScript: the card’s number goes to our payment provider and never to us."
            => "银行卡付款需要启用 JavaScript：卡号只会发送给支付服务商，不会经过本店。",
        summary: "Your order" => "订单摘要",
        subtotal: "Subtotal" => "商品小计",
        discount: "Discount" => "优惠",
        shipping_cost: "Shipping" => "运费",
        shipping_later: "after the address" => "填写地址后计算",
        tax_included: "of which tax" => "含税",
        tax_added: "Tax" => "税费",
        total: "Total" => "合计",
        place: "Order and pay" => "提交订单并付款",
        place_free: "Order" => "提交订单",
        back: "Back to the cart" => "返回购物车",
        terms: "Your order is binding once you press the button. We confirm it by e-mail."
            => "点击按钮即表示提交订单，我们会通过邮件确认。",
        problems: "Please look at these first" => "请先处理以下问题",
        field_missing: "Please fill this in." => "请填写此项。",
        field_wrong: "Please check this." => "请检查此项。",
        email_wrong: "This is not an e-mail address." => "邮箱地址格式不正确。",
        postcode_wrong: "This is not a postcode of that country." => "邮政编码与所选国家不符。",
        choose_shipping: "Please choose how it is to be sent." => "请选择配送方式。",
        declined: "The payment was declined. Nothing was charged; please try another card."
            => "付款被拒绝，没有产生扣款。请换一张卡再试。",
        declined_final: "The payment was declined, and this card will be declined again. Nothing was charged; please use another card."
            => "付款被拒绝，该卡无法使用，没有产生扣款。请换一张卡。",
        refused: "We cannot take this order online. Please write to us." => "我们无法在线受理此订单，请与我们联系。",
        changed: "The total has changed since you last saw it. Please look at it again before you order."
            => "订单金额已发生变化，请确认后再提交。",
        sold_out: "Some of it has just been sold to others. Please change your cart."
            => "部分商品刚刚售出，请修改购物车。",
        coupon_gone: "A coupon of your cart has just been used up. The total below is without it."
            => "购物车中的优惠券刚刚用完，以下金额不含该优惠。",
        in_progress: "This cart is being paid for, perhaps in another window. Please wait a moment."
            => "此购物车正在付款（可能在另一个窗口中），请稍候。",
        not_known: "We do not know yet whether your order went through. Please do not order again: try the button once more, and we will tell."
            => "暂时无法确认订单是否成功。请勿重复下单：再次点击按钮即可查看结果。",
    }
    {
        fn pieces(i64): |count| format!("{count} ×") => |count| format!("{count} 件"),
        fn days(i16, i16): |least, most| if least == most { format!("{least} days") } else { format!("{least}–{most} days") }
            => |least, most| if least == most { format!("{least} 天") } else { format!("{least}–{most} 天") },
    }
}
