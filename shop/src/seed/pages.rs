//! Pages of text for the demo: plain paragraphs in English and Chinese.

/// A page.
#[derive(Debug)]
pub struct Page {
    /// Its address.
    pub slug: &'static str,
    /// (title, body) in English.
    pub en: (&'static str, &'static str),
    /// (title, body) in Chinese.
    pub zh: (&'static str, &'static str),
}

/// All pages.
pub const PAGES: &[Page] = &[
    Page {
        slug: "about",
        en: (
            "About us",
            "We are a small shop for things that are used every day: for the kitchen, the table, the sofa, the desk and the way to work.\n\nWe choose few things and keep them for a long time. Everything is made of materials that age well, by workshops that we visit ourselves, and everything can be repaired.\n\nThis is a demonstration shop. The brands and products are invented, the pictures are drawn by a program, and nothing is delivered.",
        ),
        zh: (
            "关于我们",
            "我们是一家小店，专注于每天都会用到的物件：厨房、餐桌、沙发、书桌，以及通勤路上。\n\n我们选品不多，但每一件都长期供应。所有商品都采用越用越好的材料，来自我们亲自走访过的工坊，并且都可以维修。\n\n这是一家演示商店。品牌与商品均为虚构，图片由程序绘制，不会实际发货。",
        ),
    },
    Page {
        slug: "shipping",
        en: (
            "Shipping",
            "Orders placed before noon on a working day leave our warehouse on the same day. Small parcels take two to four days, furniture takes one to two weeks and comes with an appointment.\n\nShipping is free above 60.00. Below that we charge what the carrier charges us.\n\nEach parcel has a tracking number, which we send by mail as soon as it is on its way. We pack in paper and cardboard only.",
        ),
        zh: (
            "配送说明",
            "工作日中午前下单，当天从仓库发出。小件商品两至四天送达；家具需要一至两周，配送前会与您预约时间。\n\n订单满 60.00 免运费；未满时按承运商的实际费用收取。\n\n每个包裹都有运单号，发出后会通过邮件告知。我们只使用纸和纸板包装。",
        ),
    },
    Page {
        slug: "returns",
        en: (
            "Returns",
            "You can send anything back within 30 days, for any reason. It should be as you received it; trying it out at home is fine.\n\nWrite to us and you get a label. Sending small parcels back is free; for furniture we agree on a day with you.\n\nYou have your money back within five working days after the parcel has reached us, in the way you paid.\n\nIf something breaks within its warranty we repair it. If that is not possible we replace it.",
        ),
        zh: (
            "退换货",
            "收货后 30 天内可无理由退货。商品应保持收到时的状态，在家试用没有问题。\n\n请来信联系我们，我们会提供退货面单。小件商品退货免费；家具退货由我们与您约定上门日期。\n\n包裹退回后五个工作日内，款项将原路退还。\n\n保修期内出现损坏，我们负责维修；无法维修的，予以更换。",
        ),
    },
    Page {
        slug: "privacy",
        en: (
            "Privacy",
            "Reading this shop leaves no trace with us beyond the usual logs of a server, which are deleted after 14 days. There are no trackers and nothing is loaded from other companies.\n\nWhen you order we keep what the order needs: your name, your address, your mail address, and what you bought. The carrier is told the address and nothing else. Invoices are kept as long as the law demands.\n\nYou can ask for a copy of your data or have it erased at any time. What invoices need stays until its time is over.\n\nOne cookie remembers your basket. It holds a random number and is gone 30 days after your last visit.",
        ),
        zh: (
            "隐私说明",
            "浏览本店不会留下除服务器常规日志以外的任何记录，日志在 14 天后删除。本店不使用跟踪器，也不从第三方加载任何内容。\n\n下单时，我们仅保存订单所需的信息：姓名、地址、邮箱与所购商品。承运商只会得到收货地址。发票按法律要求的期限保存。\n\n您可以随时索取自己的数据副本，或要求删除。发票所需的信息将保留至法定期限届满。\n\n我们使用一个 Cookie 记住购物车，其中只有一个随机数，在您最后一次访问 30 天后失效。",
        ),
    },
    Page {
        slug: "imprint",
        en: (
            "Imprint",
            "This is a demonstration shop and sells nothing.\n\nWhoever runs a real shop with this software puts here who they are: the name and legal form of the company, its address, who represents it, how to reach it by mail and telephone, the register and number under which it is entered, and its tax number.",
        ),
        zh: (
            "经营者信息",
            "这是一家演示商店，不销售任何商品。\n\n使用本软件经营真实商店时，请在此填写经营者信息：公司名称与形式、地址、法定代表人、电子邮箱与电话、登记机关与登记号，以及税号。",
        ),
    },
];
