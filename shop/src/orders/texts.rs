//! The sentences of the pages of orders.

use crate::web::private::texts::texts;

texts! {
    /// Sentences of the pages of orders.
    OrderTexts {
        thanks: "Thank you for your order" => "感谢您的订购",
        thanks_text: "We have your order and will confirm it by e-mail." => "我们已收到您的订单，并将通过邮件确认。",
        order: "Order" => "订单",
        orders: "Your orders" => "我的订单",
        none: "You have not ordered anything yet." => "您还没有订单。",
        to_shop: "To the shop" => "去逛逛",
        more: "Earlier orders" => "更早的订单",
        placed_on: "Ordered on" => "下单时间",
        status: "Status" => "状态",
        pending: "Waiting for the payment" => "等待付款",
        pending_text: "What became of the payment is not known yet. This page tells when it is: reload it in a moment."
            => "付款结果尚未确认，请稍后刷新此页面查看。",
        go_on: "Go on to the payment" => "继续付款",
        begin_again: "Pay in another way" => "更换付款方式",
        received: "Received" => "已下单",
        paid: "Paid" => "已付款",
        shipped: "Shipped" => "已发货",
        delivered: "Delivered" => "已送达",
        partly_shipped: "Partly shipped" => "部分发货",
        held: "We are looking at your order and will be in touch." => "我们正在审核您的订单，如有需要会与您联系。",
        cancelled: "Cancelled" => "已取消",
        cancelled_text: "This order was cancelled. What was paid goes back the way it came."
            => "此订单已取消，已付款项将原路退回。",
        not_placed_text: "This order was not paid in time and came to nothing. Nothing was charged."
            => "此订单未在规定时间内付款，已失效，未产生扣款。",
        completed: "Completed" => "已完成",
        refunded: "Refunded" => "已退款",
        partly_refunded: "Partly refunded" => "部分退款",
        items: "Items" => "商品",
        item_cancelled: "removed" => "已移除",
        subtotal: "Subtotal" => "商品小计",
        shipping: "Shipping" => "运费",
        free: "Free" => "免运费",
        tax: "Tax" => "税费",
        tax_included: "of which tax" => "含税",
        total: "Total" => "合计",
        delivery_address: "Delivery address" => "收货地址",
        billing_address: "Billing address" => "账单地址",
        method: "Shipping method" => "配送方式",
        confirmation_to: "Confirmation sent to" => "确认邮件发送至",
        change: "Change the order" => "修改订单",
        change_text: "Until the first parcel leaves you can correct the address and take pieces out."
            => "首个包裹发出前，您可以修改地址或减少商品数量。",
        save_address: "Save the address" => "保存地址",
        save_pieces: "Save the quantities" => "保存数量",
        cancel: "Cancel the order" => "取消订单",
        cancel_text: "The whole order is cancelled, and what was paid goes back." => "整个订单将被取消，已付款项将退回。",
        cancel_sure: "Yes, cancel it" => "确认取消",
        link_hint: "Keep the address of this page: it opens your order without an account."
            => "请保存此页面的地址：无需账户即可查看您的订单。",
        failed: "That is no longer possible." => "该操作已无法进行。",
    }
    {
        fn pieces(i64): |count| format!("{count} ×") => |count| format!("{count} 件"),
        fn number(&str): |number| format!("Order {number}") => |number| format!("订单 {number}"),
    }
}
