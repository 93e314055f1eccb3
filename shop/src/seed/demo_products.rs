//! What the demo sells. Brands and products are invented.

/// How much of a product is there.
#[derive(Debug, Clone, Copy)]
pub enum Stock {
    /// Enough.
    Plenty,
    /// Two or three of each.
    Low,
    /// The first variant is sold out, the others are not.
    LastGone,
    /// Sold out.
    Out,
}

/// A product; texts are (English, Chinese).
#[derive(Debug)]
pub struct Demo {
    /// Name.
    pub name: (&'static str, &'static str),
    /// Description.
    pub description: (&'static str, &'static str),
    /// Category path in English.
    pub category: &'static [&'static str],
    /// The kind of its pictures.
    pub picture: &'static str,
    /// Brand.
    pub brand: &'static str,
    /// Price in hundredths, before it is rounded to a price that ends in 90.
    pub cents: i64,
    /// Percent off, now.
    pub sale: Option<i64>,
    /// Whether it is reduced in the winter sale to come.
    pub winter_sale: bool,
    /// Whether it comes first.
    pub featured: bool,
    /// Options with their values.
    pub options: &'static [(&'static str, &'static [&'static str])],
    /// Material.
    pub material: &'static str,
    /// Where it is made.
    pub origin: &'static str,
    /// How it is cared for.
    pub care: &'static str,
    /// Tags.
    pub tags: &'static [&'static str],
    /// Weight.
    pub grams: i64,
    /// How much is there.
    pub stock: Stock,
}

const TABLEWARE: &[&str] = &["Kitchen", "Tableware"];
const PREPARATION: &[&str] = &["Kitchen", "Food Preparation"];
const FURNITURE: &[&str] = &["Living", "Furniture"];
const DECORATION: &[&str] = &["Living", "Decoration"];
const LIGHTING: &[&str] = &["Living", "Lighting"];
const BEDROOM: &[&str] = &["Textiles", "Bedroom"];
const SOFA: &[&str] = &["Textiles", "Sofa"];
const PLANTS: &[&str] = &["Garden & Outdoor", "Plants"];
const ON_THE_WAY: &[&str] = &["Garden & Outdoor", "On the Way"];
const DESK: &[&str] = &["Work & Sound", "Desk"];
const AUDIO: &[&str] = &["Work & Sound", "Audio"];
const TOPS: &[&str] = &["Clothing", "Tops"];

type Options = &'static [(&'static str, &'static [&'static str])];

const NONE: Options = &[];
const GLAZES: Options = &[("Color", &["Sand", "Sage", "Indigo"])];
const CLOTHS: Options = &[("Color", &["Ivory", "Clay", "Sage", "Charcoal"])];
const EARTHS: Options = &[("Color", &["Clay", "Charcoal"])];
const SIZES: Options = &[("Size", &["S", "M", "L"])];
const FITS: Options = &[("Size", &["S", "M", "L", "XL"])];
const SHIRTS: Options = &[
    ("Color", &["Ivory", "Indigo"]),
    ("Size", &["S", "M", "L", "XL"]),
];

const WASHER: &str = "Dishwasher safe";
const WIPE: &str = "Wipe with a damp cloth";
const WASH_30: &str = "Wash at 30 °C";
const OIL: &str = "Oil now and then";

#[expect(
    clippy::too_many_arguments,
    reason = "one line for each product of a table"
)]
const fn of(
    category: &'static [&'static str],
    picture: &'static str,
    brand: &'static str,
    cents: i64,
    options: Options,
    made: (&'static str, &'static str, &'static str),
    name: (&'static str, &'static str),
    description: (&'static str, &'static str),
) -> Demo {
    let (material, origin, care) = made;
    Demo {
        name,
        description,
        category,
        picture,
        brand,
        cents,
        sale: None,
        winter_sale: false,
        featured: false,
        options,
        material,
        origin,
        care,
        tags: &[],
        grams: 450,
        stock: Stock::Plenty,
    }
}

impl Demo {
    const fn reduced(mut self, percent: i64) -> Self {
        self.sale = Some(percent);
        self
    }

    const fn in_winter_sale(mut self) -> Self {
        self.winter_sale = true;
        self
    }

    const fn first(mut self) -> Self {
        self.featured = true;
        self
    }

    const fn tagged(mut self, tags: &'static [&'static str]) -> Self {
        self.tags = tags;
        self
    }

    const fn weighs(mut self, grams: i64) -> Self {
        self.grams = grams;
        self
    }

    const fn stocked(mut self, stock: Stock) -> Self {
        self.stock = stock;
        self
    }
}

/// All products.
pub const DEMO: &[Demo] = &[
    of(TABLEWARE, "mug", "Kilnside", 1_900, GLAZES, ("Stoneware", "Portugal", WASHER), ("Harbour Mug", "海港马克杯"),
        ("A mug with some weight to it. The clay is left bare outside, so it warms slowly and never slips; inside is a glaze that tea does not stain.",
         "一只有分量的杯子。外壁保留素坯，升温缓慢、握持不滑；内壁施釉，不留茶渍。")).first().tagged(&["tea", "gift"]).weighs(380),
    of(TABLEWARE, "mug", "Kilnside", 1_600, EARTHS, ("Stoneware", "Portugal", WASHER), ("Espresso Cup Tide", "潮汐浓缩咖啡杯"),
        ("Small, thick-walled and easy to stack. It keeps an espresso hot to the last sip.", "小巧厚壁，可叠放。最后一口浓缩咖啡仍是热的。")).tagged(&["coffee"]).weighs(160),
    of(TABLEWARE, "mug", "Brightmere", 2_400, NONE, ("Porcelain", "Japan", WASHER), ("Latte Bowl Cup", "拿铁大口杯"),
        ("Half cup, half bowl: wide enough for milk foam, or for soup at your desk.", "半杯半碗：盛得下绵密奶泡，也适合在书桌前喝汤。")).reduced(20).tagged(&["coffee"]).weighs(340),
    of(TABLEWARE, "bowl", "Kilnside", 2_200, SIZES, ("Stoneware", "Portugal", WASHER), ("Everyday Bowl", "日常碗"),
        ("The bowl that comes out of the cupboard first. Three sizes that nest into each other.", "总是第一个从橱柜里拿出来的碗。三种尺寸，可以套叠收纳。")).tagged(&["gift"]).weighs(520),
    of(TABLEWARE, "bowl", "Moss & Tide", 3_900, GLAZES, ("Porcelain", "Japan", "Wash by hand"), ("Ramen Bowl Fold", "折痕拉面碗"),
        ("Deep, with a folded rim to rest chopsticks on. Thin enough to ring when you tap it.", "碗身深，折边处可搁筷。胎薄，轻敲有清音。")).stocked(Stock::Low).weighs(610),
    of(TABLEWARE, "bowl", "Brightmere", 4_900, NONE, ("Glass", "Italy", WASHER), ("Fruit Bowl Ripple", "涟漪果盘"),
        ("Blown into a wooden mould whose grain you can still see in the glass.", "以木模吹制，玻璃上仍留有木纹。")).in_winter_sale().weighs(1_150),
    of(TABLEWARE, "teapot", "Moss & Tide", 5_900, EARTHS, ("Stoneware", "China", "Rinse with water only"), ("Teapot Dusk", "暮色茶壶"),
        ("Holds three cups, pours without a drop beside, and takes on the taste of your tea over the years.", "容量三杯，出水利落不滴漏。用得越久，茶香越醇。")).first().tagged(&["tea", "gift"]).weighs(780),
    of(TABLEWARE, "teapot", "Graywick", 4_500, NONE, ("Glass", "Poland", WASHER), ("Clear Teapot", "透明茶壶"),
        ("Watch the leaves open. The strainer lifts out when the tea is as strong as you like it.", "看茶叶慢慢舒展。茶汤浓淡合意时，提起滤网即可。")).tagged(&["tea"]).weighs(560),
    of(TABLEWARE, "bottle", "Graywick", 2_900, NONE, ("Glass", "Poland", WASHER), ("Table Carafe", "餐桌玻璃瓶"),
        ("A litre of water on the table, with a cork that fits the hand.", "一升清水摆上桌，软木塞握感刚好。")).weighs(640),
    of(PREPARATION, "board", "Alderway", 3_400, SIZES, ("Oak", "Poland", OIL), ("End-Grain Board", "立纹砧板"),
        ("Knives stay sharp on end grain. The board is made of offcuts from our table tops and oiled three times.", "立纹木面不伤刀刃。由桌面余料拼成，上油三遍。")).first().weighs(1_900),
    of(PREPARATION, "board", "Alderway", 1_900, NONE, ("Bamboo", "China", WIPE), ("Breakfast Board", "早餐板"),
        ("For a roll, an egg and a quiet morning. A groove keeps the crumbs together.", "放一个面包、一枚鸡蛋，度过安静的早晨。边槽收拢碎屑。")).weighs(410),
    of(PREPARATION, "board", "Hearthline", 5_200, NONE, ("Walnut", "Italy", OIL), ("Serving Board Long", "长形上菜板"),
        ("Seventy centimetres of walnut for bread and cheese, with a leather loop to hang it up by.", "七十厘米长的胡桃木板，盛面包与奶酪，配皮绳可悬挂。")).reduced(15).weighs(1_400),
    of(PREPARATION, "bottle", "Fernhollow", 2_400, SIZES, ("Glass", "Italy", WASHER), ("Oil Bottle", "油瓶"),
        ("Dark glass keeps oil fresh and the steel spout closes itself between two drops.", "深色玻璃护油，钢嘴滴间自动闭合。")).weighs(480),
    of(PREPARATION, "bottle", "Fernhollow", 1_500, NONE, ("Glass", "Poland", WASHER), ("Pantry Jar", "储物罐"),
        ("Stacks, seals, and shows what is left of the rice.", "可叠放、密封好，米还剩多少一目了然。")).stocked(Stock::Out).weighs(520),
    of(PREPARATION, "bowl", "Hearthline", 3_200, SIZES, ("Steel", "Japan", WASHER), ("Mixing Bowl Flat", "平底调理盆"),
        ("A flat foot, a scale inside, and a rim that lets dough go.", "平底稳当，内壁有刻度，面团不粘盆口。")).weighs(700),
    of(PREPARATION, "teapot", "Hearthline", 6_900, EARTHS, ("Steel", "Japan", WIPE), ("Pour-Over Kettle", "手冲壶"),
        ("A thin spout for a slow hand. The handle stays cool and the base works on induction.", "细长壶嘴，适合慢慢注水。手柄不烫手，可用于电磁炉。")).in_winter_sale().tagged(&["coffee"]).weighs(890),
    of(FURNITURE, "chair", "Veldhus", 18_900, EARTHS, ("Oak", "Denmark", WIPE), ("Chair No. 3", "三号椅"),
        ("Light enough to carry with one hand, strong enough for the cousin who rocks on it. The seat is woven from paper cord.", "单手就能提起，也经得住爱摇椅子的亲戚。座面以纸绳编织。")).first().weighs(4_900),
    of(FURNITURE, "chair", "Veldhus", 24_900, NONE, ("Walnut", "Denmark", WIPE), ("Armchair Reader", "阅读扶手椅"),
        ("The arms are as wide as a book. Made for long evenings.", "扶手宽如一本书，为漫长的夜晚而做。")).in_winter_sale().stocked(Stock::Low).weighs(8_200),
    of(FURNITURE, "chair", "Alderway", 9_900, EARTHS, ("Oak", "Poland", WIPE), ("Kitchen Stool", "厨房凳"),
        ("A stool to sit on, to stand on, and to put the groceries on.", "能坐、能站，也能放刚买回来的菜。")).weighs(2_800),
    of(FURNITURE, "table", "Veldhus", 15_900, NONE, ("Walnut", "Denmark", WIPE), ("Side Table Pebble", "卵石边桌"),
        ("No edge to knock a knee on. The top is turned from one piece.", "没有会磕到膝盖的棱角。桌面由整块木料车制。")).reduced(20).weighs(5_600),
    of(FURNITURE, "table", "Alderway", 12_900, GLAZES, ("Steel", "Poland", WIPE), ("Tray Table", "托盘桌"),
        ("The top lifts off and is a tray. The frame folds flat behind the sofa.", "桌面提起便是托盘，支架折叠后可收在沙发背后。")).weighs(4_100),
    of(FURNITURE, "table", "Northpane", 32_900, SIZES, ("Oak", "Denmark", OIL), ("Desk Plain", "素面书桌"),
        ("A top, four legs and a drawer that opens without a sound.", "一面桌板、四条腿，和一只开合无声的抽屉。")).weighs(21_000),
    of(DECORATION, "vase", "Moss & Tide", 3_900, GLAZES, ("Stoneware", "Portugal", WIPE), ("Vase Dune", "沙丘花瓶"),
        ("A wide belly and a narrow neck: three stems look like a bouquet.", "腹阔颈窄，三枝花也像一束。")).first().tagged(&["gift"]).weighs(980),
    of(DECORATION, "vase", "Ivorne", 2_200, NONE, ("Glass", "Italy", WASHER), ("Bud Vase", "单枝花瓶"),
        ("For the one flower that broke off.", "留给那枝不小心折下的花。")).tagged(&["gift"]).weighs(210),
    of(DECORATION, "vase", "Ivorne", 6_900, SIZES, ("Porcelain", "China", WIPE), ("Floor Vase Reed", "芦苇落地花瓶"),
        ("Tall and matt. Fill it with branches in winter and with nothing in summer.", "修长哑光。冬天插枝条，夏天空着也好看。")).reduced(30).weighs(3_400),
    of(DECORATION, "clock", "Northpane", 5_900, EARTHS, ("Oak", "Denmark", WIPE), ("Wall Clock Silent", "静音挂钟"),
        ("A hand that sweeps instead of ticking. You will forget that it is there until you need it.", "秒针滑行，没有滴答声。不看时间时，几乎忘了它的存在。")).weighs(740),
    of(DECORATION, "clock", "Northpane", 7_900, NONE, ("Brass", "Italy", WIPE), ("Wall Clock Noon", "正午挂钟"),
        ("Brass that grows darker year by year, except where you polish it.", "黄铜逐年变深，只有你擦拭之处依旧明亮。")).stocked(Stock::Low).weighs(1_250),
    of(DECORATION, "candle", "Saltmarsh", 2_400, &[("Scent", &["Cedar", "Fig", "Sea Salt"])], ("Wax", "Portugal", "Trim the wick to 5 mm"), ("Candle in Glass", "玻璃杯香薰蜡烛"),
        ("Rapeseed wax and a cotton wick, forty hours of light. The glass is a tumbler afterwards.", "菜籽蜡配棉芯，可燃四十小时。燃尽后玻璃杯可作水杯。")).tagged(&["gift"]).weighs(360),
    of(DECORATION, "candle", "Saltmarsh", 1_400, NONE, ("Wax", "Poland", "Trim the wick to 5 mm"), ("Pillar Candle", "柱形蜡烛"),
        ("Poured by hand in layers, so that it burns straight down.", "手工分层浇注，燃烧平整。")).weighs(480),
    of(LIGHTING, "lamp", "Larkmoor", 8_900, GLAZES, ("Steel", "Italy", WIPE), ("Table Lamp Cap", "帽檐台灯"),
        ("Tilt the cap to turn the light from a reading light into a glow on the wall.", "转动灯帽，阅读光便化作墙上的柔光。")).first().weighs(1_700),
    of(LIGHTING, "lamp", "Larkmoor", 12_900, NONE, ("Brass", "Italy", WIPE), ("Desk Lamp Heron", "苍鹭台灯"),
        ("One joint, one counterweight, and it stays where you leave it.", "一个关节、一枚配重，停在你松手的位置。")).in_winter_sale().weighs(2_300),
    of(LIGHTING, "lamp", "Larkmoor", 3_900, EARTHS, ("Porcelain", "Portugal", WIPE), ("Night Light Shell", "贝壳小夜灯"),
        ("Porcelain so thin that the light shines through. Charges over night, glows for ten.", "瓷薄透光。充电一夜，可亮十夜。")).stocked(Stock::LastGone).weighs(290),
    of(LIGHTING, "lamp", "Umberly", 14_900, NONE, ("Linen", "Denmark", WIPE), ("Bedside Lamp Linen", "亚麻床头灯"),
        ("A shade of undyed linen and a switch you find in the dark.", "本色亚麻灯罩，开关在黑暗中也能摸到。")).weighs(1_500),
    of(BEDROOM, "blanket", "Ostrava Mill", 12_900, CLOTHS, ("Wool", "Poland", "Air, do not wash"), ("Wool Blanket Ridge", "山脊羊毛毯"),
        ("New wool from one flock, woven on looms from the sixties. Warm without being heavy.", "单一羊群的新羊毛，用六十年代的织机织成。保暖而不厚重。")).first().weighs(1_450),
    of(BEDROOM, "blanket", "Ostrava Mill", 8_900, EARTHS, ("Cotton", "Portugal", WASH_30), ("Summer Blanket", "夏凉毯"),
        ("A waffle weave that dries in an hour and cools on a hot night.", "华夫格织法，一小时晾干，夏夜清凉。")).reduced(25).weighs(980),
    of(BEDROOM, "blanket", "Thistledown", 5_900, CLOTHS, ("Cotton", "Portugal", WASH_30), ("Sofa Throw Fringe", "流苏盖毯"),
        ("For the last chapter before bed. The fringe is knotted by hand.", "睡前最后一章的陪伴。流苏手工打结。")).tagged(&["gift"]).weighs(720),
    of(BEDROOM, "cushion", "Thistledown", 6_900, SIZES, ("Linen", "Poland", WASH_30), ("Pillow Buckwheat", "荞麦枕"),
        ("Buckwheat hulls that give way where you are heavy and hold where you are not. Fill in or take out as you like.", "荞麦壳随形而动，该软处软、该撑处撑。填充量可自行增减。")).weighs(2_100),
    of(SOFA, "cushion", "Thistledown", 3_400, CLOTHS, ("Linen", "Portugal", WASH_30), ("Linen Cushion", "亚麻靠垫"),
        ("Washed twice before it is sewn, so it is soft from the first day and stays in shape.", "缝制前水洗两次，第一天就柔软，也不易变形。")).first().weighs(540),
    of(SOFA, "cushion", "Juniper Row", 4_200, GLAZES, ("Wool", "Morocco", "Air, do not wash"), ("Kilim Cushion", "基里姆靠垫"),
        ("Each one is cut from another rug. What you get resembles the picture and is not the same.", "每一只都裁自不同的地毯。收到的会像图片，但不会相同。")).stocked(Stock::Low).weighs(690),
    of(SOFA, "cushion", "Juniper Row", 7_900, EARTHS, ("Cotton", "Morocco", WASH_30), ("Floor Cushion Round", "圆形坐垫"),
        ("A seat for those who read on the floor. Filled with fibres from old clothes.", "给爱坐在地上看书的人。填充回收衣物纤维。")).in_winter_sale().weighs(3_100),
    of(PLANTS, "plant", "Rowanfield", 2_900, SIZES, ("Stoneware", "Portugal", "Water once a week"), ("Rubber Plant", "橡皮树"),
        ("Forgives a forgotten week. Comes in a clay pot with a saucer.", "忘浇一周水也没关系。配陶盆与托盘。")).first().weighs(2_600),
    of(PLANTS, "plant", "Rowanfield", 1_900, NONE, ("Stoneware", "Portugal", "Water once a month"), ("Snake Plant", "虎尾兰"),
        ("Wants little light and less water. The plant for those who have given up on plants.", "需光少，需水更少。适合已经放弃养植物的人。")).weighs(1_800),
    of(PLANTS, "plant", "Rowanfield", 1_600, NONE, ("Stoneware", "Portugal", "Keep moist"), ("Kitchen Basil", "厨房罗勒"),
        ("Three plants in one pot, sown apart so that they live longer than a week.", "一盆三株，分开播种，能活得比一周更久。")).stocked(Stock::Out).weighs(700),
    of(PLANTS, "vase", "Pinecroft", 2_400, SIZES, ("Stoneware", "Italy", WIPE), ("Planter Terra", "陶土花盆"),
        ("Unglazed clay that breathes. It turns white with time, as clay does.", "无釉透气陶土。用久了会泛白，这正是陶的样子。")).reduced(20).weighs(1_900),
    of(ON_THE_WAY, "bag", "Wrenhouse", 4_900, CLOTHS, ("Cotton", "Portugal", WASH_30), ("Market Tote", "集市托特包"),
        ("Carries fifteen kilos and folds into its own pocket. The handles are long enough for a coat.", "承重十五公斤，可折进自带的口袋。提手够长，穿大衣也能背。")).first().tagged(&["gift"]).weighs(310),
    of(ON_THE_WAY, "bag", "Wrenhouse", 8_900, EARTHS, ("Linen", "Italy", WIPE), ("Work Tote", "通勤托特包"),
        ("A sleeve for the laptop, a hook for the keys, and a lining that is easy to find things in.", "电脑隔层、钥匙挂钩，浅色内衬一眼就能找到东西。")).weighs(880),
    of(ON_THE_WAY, "bag", "Wrenhouse", 2_900, GLAZES, ("Cotton", "Vietnam", WASH_30), ("Lunch Bag", "午餐包"),
        ("Insulated with cork instead of foil. It can go into the washing machine.", "以软木隔热，而非铝箔，可以机洗。")).reduced(10).weighs(240),
    of(ON_THE_WAY, "bottle", "Eastvale", 3_400, GLAZES, ("Steel", "China", WASHER), ("Trail Bottle", "山径水壶"),
        ("One wall, one lid, no plastic. Hang it on your pack by the ring.", "单层壶壁、一个盖子，不含塑料。用拉环挂在背包上。")).weighs(260),
    of(ON_THE_WAY, "bottle", "Eastvale", 4_400, EARTHS, ("Steel", "China", "Wash by hand"), ("Thermos Commute", "通勤保温杯"),
        ("Hot until the afternoon. Opens with one hand and never leaks into your bag.", "保温到下午。单手开盖，不会漏在包里。")).tagged(&["coffee"]).in_winter_sale().weighs(420),
    of(DESK, "notebook", "Quillby", 1_400, &[("Color", &["Sand", "Indigo", "Rust"])], ("Paper", "Japan", "Keep dry"), ("Notebook Thread", "线装笔记本"),
        ("Sewn, so it lies flat on every page. Paper that takes fountain pens without a shadow on the other side.", "线装，每一页都能平摊。纸张适合钢笔，不透墨。")).first().tagged(&["gift"]).weighs(260),
    of(DESK, "notebook", "Quillby", 2_200, NONE, ("Paper", "Japan", "Keep dry"), ("Five Year Diary", "五年日记"),
        ("Five lines for each day, five years on one page. See what you did a year ago.", "每天五行，五年同页。看看去年的今天在做什么。")).tagged(&["gift"]).weighs(540),
    of(DESK, "notebook", "Quillby", 900, NONE, ("Paper", "Poland", "Keep dry"), ("Pocket Notebook Set", "口袋笔记本套装"),
        ("Three thin ones: one for the pocket, one for the kitchen, one to lose.", "三本薄册：一本放口袋，一本放厨房，一本用来弄丢。")).weighs(190),
    of(DESK, "clock", "Northpane", 4_900, GLAZES, ("Steel", "Japan", WIPE), ("Desk Clock Hour", "整点座钟"),
        ("One button on top and nothing else. Press it and you have nine more minutes.", "顶部一个按键，别无其他。按一下，再睡九分钟。")).weighs(380),
    of(DESK, "board", "Alderway", 2_900, NONE, ("Oak", "Poland", OIL), ("Desk Tray", "桌面托盘"),
        ("Keys, pens, and the thing you must not forget tomorrow.", "放钥匙、笔，和明天千万不能忘的东西。")).weighs(460),
    of(AUDIO, "headphones", "Dunlin", 16_900, &[("Color", &["Charcoal", "Ivory"])], ("Steel", "Vietnam", WIPE), ("Headphones Still", "静域头戴耳机"),
        ("Turn the cup to be alone, turn it back to hear the door. Every part that wears out can be replaced with a coin.", "转动耳罩即享安静，转回便能听见门铃。易损部件用一枚硬币就能更换。")).first().weighs(270),
    of(AUDIO, "headphones", "Dunlin", 8_900, &[("Color", &["Charcoal", "Ivory", "Rust"])], ("Cotton", "Vietnam", WIPE), ("Headphones Light", "轻羽头戴耳机"),
        ("Weigh as much as a bar of chocolate. Thirty hours and a cable for the rest.", "只有一板巧克力的重量。续航三十小时，另附音频线。")).reduced(30).stocked(Stock::LastGone).weighs(120),
    of(AUDIO, "speaker", "Dunlin", 19_900, &[("Color", &["Charcoal", "Sand"])], ("Oak", "Denmark", WIPE), ("Shelf Speaker", "书架音箱"),
        ("Made for the space between books. Two of them find each other.", "为书与书之间的空隙而做。两只放在一起会自动配对。")).in_winter_sale().weighs(2_900),
    of(AUDIO, "speaker", "Dunlin", 9_900, GLAZES, ("Linen", "Vietnam", WIPE), ("Picnic Speaker", "野餐音箱"),
        ("Rain, sand and jam do not bother it. Plays from breakfast to campfire.", "不怕雨、沙和果酱。从早餐一直播到篝火边。")).stocked(Stock::Low).weighs(540),
    of(TOPS, "shirt", "Calloway & Finch", 6_900, SHIRTS, ("Linen", "Portugal", WASH_30), ("Linen Shirt", "亚麻衬衫"),
        ("Cut straight and a little long. Iron it or do not: it looks meant either way.", "直筒剪裁，略长。熨与不熨，都像有意为之。")).first().weighs(240),
    of(TOPS, "shirt", "Calloway & Finch", 2_900, SHIRTS, ("Cotton", "Portugal", WASH_30), ("Heavy T-Shirt", "厚磅T恤"),
        ("Two hundred and twenty grams of combed cotton. The neck still fits in five years.", "220 克精梳棉，五年后领口依然合身。")).weighs(260),
    of(TOPS, "shirt", "Calloway & Finch", 8_900, FITS, ("Wool", "Italy", "Air, do not wash"), ("Wool Overshirt", "羊毛衬衫外套"),
        ("A shirt in spring, a jacket in autumn. Buttons of nut wood.", "春天当衬衫，秋天作外套。配果木纽扣。")).reduced(20).in_winter_sale().weighs(620),
];

/// Words of the demo in Chinese, beside those of the generated catalogue.
pub const LABELS: &[super::words::Words] = &[
    (WASHER, "可用洗碗机"),
    (WIPE, "用湿布擦拭"),
    (WASH_30, "30 °C 水洗"),
    (OIL, "定期上油"),
    ("Wash by hand", "手洗"),
    ("Rinse with water only", "仅用清水冲洗"),
    ("Trim the wick to 5 mm", "烛芯修剪至 5 毫米"),
    ("Air, do not wash", "通风晾晒，勿水洗"),
    ("Water once a week", "每周浇水一次"),
    ("Water once a month", "每月浇水一次"),
    ("Keep moist", "保持湿润"),
    ("Keep dry", "保持干燥"),
    ("Cedar", "雪松"),
    ("Fig", "无花果"),
    ("Sea Salt", "海盐"),
    ("Wax", "蜡"),
    ("Paper", "纸"),
];
