//! Words of the generated catalogue, in English and Chinese.

/// A word in English and in Chinese.
pub type Words = (&'static str, &'static str);

/// The last level of the category tree.
#[derive(Debug)]
pub struct Leaf {
    /// Name of the category.
    pub name: Words,
    /// What is in it.
    pub item: Words,
    /// The kind of its pictures.
    pub picture: &'static str,
    /// The lowest price in hundredths.
    pub cheapest: i64,
    /// In how many sizes it is made.
    pub sizes: i64,
}

/// The second level.
#[derive(Debug)]
pub struct Group {
    /// Name of the category.
    pub name: Words,
    /// Its categories.
    pub leaves: &'static [Leaf],
}

/// The first level.
#[derive(Debug)]
pub struct Department {
    /// Name of the category.
    pub name: Words,
    /// Its categories.
    pub groups: &'static [Group],
}

const fn leaf(name: Words, item: Words, picture: &'static str, cheapest: i64, sizes: i64) -> Leaf {
    Leaf {
        name,
        item,
        picture,
        cheapest,
        sizes,
    }
}

/// The category tree.
pub const DEPARTMENTS: &[Department] = &[
    Department {
        name: ("Kitchen", "厨房"),
        groups: &[
            Group {
                name: ("Tableware", "餐具"),
                leaves: &[
                    leaf(("Mugs", "马克杯"), ("Mug", "马克杯"), "mug", 900, 1),
                    leaf(("Bowls", "碗"), ("Bowl", "碗"), "bowl", 1_100, 3),
                    leaf(("Teapots", "茶壶"), ("Teapot", "茶壶"), "teapot", 2_900, 1),
                ],
            },
            Group {
                name: ("Food Preparation", "备餐用具"),
                leaves: &[
                    leaf(
                        ("Cutting Boards", "砧板"),
                        ("Cutting Board", "砧板"),
                        "board",
                        1_900,
                        3,
                    ),
                    leaf(
                        ("Storage Bottles", "储物瓶"),
                        ("Storage Bottle", "储物瓶"),
                        "bottle",
                        1_200,
                        3,
                    ),
                    leaf(
                        ("Mixing Bowls", "调理盆"),
                        ("Mixing Bowl", "调理盆"),
                        "bowl",
                        1_500,
                        3,
                    ),
                ],
            },
        ],
    },
    Department {
        name: ("Living", "居家"),
        groups: &[
            Group {
                name: ("Furniture", "家具"),
                leaves: &[
                    leaf(("Chairs", "椅子"), ("Chair", "椅"), "chair", 8_900, 1),
                    leaf(
                        ("Side Tables", "边桌"),
                        ("Side Table", "边桌"),
                        "table",
                        6_900,
                        2,
                    ),
                    leaf(("Stools", "凳子"), ("Stool", "凳"), "chair", 4_900, 1),
                ],
            },
            Group {
                name: ("Decoration", "装饰"),
                leaves: &[
                    leaf(("Vases", "花瓶"), ("Vase", "花瓶"), "vase", 1_900, 3),
                    leaf(
                        ("Wall Clocks", "挂钟"),
                        ("Wall Clock", "挂钟"),
                        "clock",
                        3_900,
                        1,
                    ),
                    leaf(
                        ("Candles", "蜡烛"),
                        ("Candle", "香薰蜡烛"),
                        "candle",
                        1_200,
                        2,
                    ),
                ],
            },
            Group {
                name: ("Lighting", "灯具"),
                leaves: &[
                    leaf(
                        ("Table Lamps", "台灯"),
                        ("Table Lamp", "台灯"),
                        "lamp",
                        4_900,
                        2,
                    ),
                    leaf(
                        ("Night Lights", "小夜灯"),
                        ("Night Light", "小夜灯"),
                        "lamp",
                        1_900,
                        1,
                    ),
                ],
            },
        ],
    },
    Department {
        name: ("Textiles", "布艺"),
        groups: &[
            Group {
                name: ("Bedroom", "卧室"),
                leaves: &[
                    leaf(("Blankets", "毯子"), ("Blanket", "毯"), "blanket", 3_900, 3),
                    leaf(("Throws", "盖毯"), ("Throw", "盖毯"), "blanket", 2_900, 2),
                ],
            },
            Group {
                name: ("Sofa", "沙发"),
                leaves: &[
                    leaf(
                        ("Cushions", "靠垫"),
                        ("Cushion", "靠垫"),
                        "cushion",
                        1_500,
                        3,
                    ),
                    leaf(
                        ("Floor Cushions", "坐垫"),
                        ("Floor Cushion", "坐垫"),
                        "cushion",
                        2_900,
                        2,
                    ),
                ],
            },
        ],
    },
    Department {
        name: ("Garden & Outdoor", "花园与户外"),
        groups: &[
            Group {
                name: ("Plants", "绿植"),
                leaves: &[
                    leaf(
                        ("Potted Plants", "盆栽"),
                        ("Potted Plant", "盆栽"),
                        "plant",
                        1_200,
                        3,
                    ),
                    leaf(("Planters", "花盆"), ("Planter", "花盆"), "plant", 900, 3),
                ],
            },
            Group {
                name: ("On the Way", "出行"),
                leaves: &[
                    leaf(
                        ("Tote Bags", "托特包"),
                        ("Tote Bag", "托特包"),
                        "bag",
                        1_900,
                        2,
                    ),
                    leaf(
                        ("Drinking Bottles", "水壶"),
                        ("Drinking Bottle", "水壶"),
                        "bottle",
                        1_800,
                        3,
                    ),
                ],
            },
        ],
    },
    Department {
        name: ("Work & Sound", "办公与音响"),
        groups: &[
            Group {
                name: ("Desk", "书桌"),
                leaves: &[
                    leaf(
                        ("Notebooks", "笔记本"),
                        ("Notebook", "笔记本"),
                        "notebook",
                        700,
                        3,
                    ),
                    leaf(
                        ("Desk Clocks", "座钟"),
                        ("Desk Clock", "座钟"),
                        "clock",
                        2_400,
                        1,
                    ),
                ],
            },
            Group {
                name: ("Audio", "音响"),
                leaves: &[
                    leaf(
                        ("Headphones", "耳机"),
                        ("Headphones", "耳机"),
                        "headphones",
                        5_900,
                        1,
                    ),
                    leaf(
                        ("Speakers", "音箱"),
                        ("Speaker", "音箱"),
                        "speaker",
                        7_900,
                        2,
                    ),
                ],
            },
        ],
    },
    Department {
        name: ("Clothing", "服饰"),
        groups: &[Group {
            name: ("Tops", "上装"),
            leaves: &[
                leaf(("Shirts", "衬衫"), ("Shirt", "衬衫"), "shirt", 2_900, 4),
                leaf(("T-Shirts", "T恤"), ("T-Shirt", "T恤"), "shirt", 1_500, 4),
            ],
        }],
    },
];

/// What is said of products.
pub const ADJECTIVES: &[Words] = &[
    ("Quiet", "静谧"),
    ("Nordic", "北欧"),
    ("Classic", "经典"),
    ("Slim", "纤薄"),
    ("Round", "圆润"),
    ("Coastal", "海岸"),
    ("Alpine", "山间"),
    ("Urban", "都市"),
    ("Rustic", "质朴"),
    ("Bright", "明亮"),
    ("Soft", "柔和"),
    ("Sturdy", "结实"),
    ("Everyday", "日常"),
    ("Evening", "暮色"),
    ("Morning", "晨光"),
    ("Studio", "工坊"),
];

/// What products are made of.
pub const MATERIALS: &[Words] = &[
    ("Oak", "橡木"),
    ("Walnut", "胡桃木"),
    ("Bamboo", "竹制"),
    ("Stoneware", "炻器"),
    ("Porcelain", "瓷"),
    ("Glass", "玻璃"),
    ("Steel", "钢制"),
    ("Brass", "黄铜"),
    ("Linen", "亚麻"),
    ("Cotton", "棉质"),
    ("Wool", "羊毛"),
    ("Cork", "软木"),
];

/// Where products are made.
pub const ORIGINS: &[Words] = &[
    ("Portugal", "葡萄牙"),
    ("Italy", "意大利"),
    ("Denmark", "丹麦"),
    ("Japan", "日本"),
    ("China", "中国"),
    ("Vietnam", "越南"),
    ("Poland", "波兰"),
    ("Morocco", "摩洛哥"),
];

/// Colours of variants.
pub const COLOURS: &[Words] = &[
    ("Sand", "沙色"),
    ("Clay", "陶土色"),
    ("Sage", "鼠尾草绿"),
    ("Indigo", "靛蓝"),
    ("Charcoal", "炭灰"),
    ("Ivory", "象牙白"),
    ("Rust", "铁锈红"),
    ("Ochre", "赭黄"),
];

/// Sizes of variants.
pub const SIZES: &[Words] = &[
    ("S", "小号"),
    ("M", "中号"),
    ("L", "大号"),
    ("XL", "特大号"),
];

/// Brands that exist in this catalogue only.
pub const BRANDS: &[&str] = &[
    "Alderway",
    "Brightmere",
    "Calloway & Finch",
    "Dunlin",
    "Eastvale",
    "Fernhollow",
    "Graywick",
    "Hearthline",
    "Ivorne",
    "Juniper Row",
    "Kilnside",
    "Larkmoor",
    "Moss & Tide",
    "Northpane",
    "Ostrava Mill",
    "Pinecroft",
    "Quillby",
    "Rowanfield",
    "Saltmarsh",
    "Thistledown",
    "Umberly",
    "Veldhus",
    "Wrenhouse",
    "Yarrow Lane",
];

/// Names of attributes, options and values that are neither materials, origins, colours nor sizes.
pub const LABELS: &[Words] = &[
    ("Material", "材质"),
    ("Made in", "产地"),
    ("Warranty", "保修"),
    ("years", "年"),
    ("Color", "颜色"),
    ("Size", "尺寸"),
    ("Capacity", "容量"),
    ("Scent", "香型"),
    ("Care", "打理方式"),
    ("Brand", "品牌"),
];
