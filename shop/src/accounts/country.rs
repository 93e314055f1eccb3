//! Countries, their states where addresses name them, and the forms of their postcodes.

/// Every country of ISO 3166-1 alpha-2 (as of 2026).
pub const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV \
     BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA \
     GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI \
     KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA \
     NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK \
     SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS \
     YE YT ZA ZM ZW";

/// Countries of which no postcode is asked: they have none, or few write one.
const WITHOUT_POSTCODE: &str = "AE AG AI AO AQ AW BB BF BI BJ BM BO BQ BS BV BW BZ CD CF CG CI CK CM CO CW DJ DM ER FJ GA GD GH GM GN \
     GQ GY HK HM HT IE IQ JM KE KI KM KN KP KW LC LY ML MO MR MS MW NR NU OM PA QA RW SB SC SL SM SO SR SS ST SV SX SY TD TF TG TK TL \
     TO TT TV TZ UG VC VU WS YE ZA ZM ZW";

/// Code (the part after the hyphen of ISO 3166-2) and names of a state or province.
pub type Region = (&'static str, &'static str, &'static str);

/// The states of the United States, with the district and the territories that mail is addressed to as states.
const UNITED_STATES: &[Region] = &[
    ("AL", "Alabama", ""),
    ("AK", "Alaska", ""),
    ("AZ", "Arizona", ""),
    ("AR", "Arkansas", ""),
    ("CA", "California", ""),
    ("CO", "Colorado", ""),
    ("CT", "Connecticut", ""),
    ("DE", "Delaware", ""),
    ("DC", "District of Columbia", "Washington DC"),
    ("FL", "Florida", ""),
    ("GA", "Georgia", ""),
    ("HI", "Hawaii", ""),
    ("ID", "Idaho", ""),
    ("IL", "Illinois", ""),
    ("IN", "Indiana", ""),
    ("IA", "Iowa", ""),
    ("KS", "Kansas", ""),
    ("KY", "Kentucky", ""),
    ("LA", "Louisiana", ""),
    ("ME", "Maine", ""),
    ("MD", "Maryland", ""),
    ("MA", "Massachusetts", ""),
    ("MI", "Michigan", ""),
    ("MN", "Minnesota", ""),
    ("MS", "Mississippi", ""),
    ("MO", "Missouri", ""),
    ("MT", "Montana", ""),
    ("NE", "Nebraska", ""),
    ("NV", "Nevada", ""),
    ("NH", "New Hampshire", ""),
    ("NJ", "New Jersey", ""),
    ("NM", "New Mexico", ""),
    ("NY", "New York", ""),
    ("NC", "North Carolina", ""),
    ("ND", "North Dakota", ""),
    ("OH", "Ohio", ""),
    ("OK", "Oklahoma", ""),
    ("OR", "Oregon", ""),
    ("PA", "Pennsylvania", ""),
    ("RI", "Rhode Island", ""),
    ("SC", "South Carolina", ""),
    ("SD", "South Dakota", ""),
    ("TN", "Tennessee", ""),
    ("TX", "Texas", ""),
    ("UT", "Utah", ""),
    ("VT", "Vermont", ""),
    ("VA", "Virginia", ""),
    ("WA", "Washington", ""),
    ("WV", "West Virginia", ""),
    ("WI", "Wisconsin", ""),
    ("WY", "Wyoming", ""),
    ("AS", "American Samoa", ""),
    ("GU", "Guam", ""),
    ("MP", "Northern Mariana Islands", ""),
    ("PR", "Puerto Rico", ""),
    ("VI", "U.S. Virgin Islands", ""),
];

const CANADA: &[Region] = &[
    ("AB", "Alberta", ""),
    ("BC", "British Columbia", "Colombie-Britannique"),
    ("MB", "Manitoba", ""),
    ("NB", "New Brunswick", "Nouveau-Brunswick"),
    ("NL", "Newfoundland and Labrador", "Terre-Neuve-et-Labrador"),
    ("NS", "Nova Scotia", "Nouvelle-Écosse"),
    ("NT", "Northwest Territories", ""),
    ("NU", "Nunavut", ""),
    ("ON", "Ontario", ""),
    ("PE", "Prince Edward Island", "Île-du-Prince-Édouard"),
    ("QC", "Quebec", "Québec"),
    ("SK", "Saskatchewan", ""),
    ("YT", "Yukon", ""),
];

const AUSTRALIA: &[Region] = &[
    ("ACT", "Australian Capital Territory", ""),
    ("NSW", "New South Wales", ""),
    ("NT", "Northern Territory", ""),
    ("QLD", "Queensland", ""),
    ("SA", "South Australia", ""),
    ("TAS", "Tasmania", ""),
    ("VIC", "Victoria", ""),
    ("WA", "Western Australia", ""),
];

const CHINA: &[Region] = &[
    ("AH", "Anhui", "安徽省"),
    ("BJ", "Beijing", "北京市"),
    ("CQ", "Chongqing", "重庆市"),
    ("FJ", "Fujian", "福建省"),
    ("GD", "Guangdong", "广东省"),
    ("GS", "Gansu", "甘肃省"),
    ("GX", "Guangxi", "广西壮族自治区"),
    ("GZ", "Guizhou", "贵州省"),
    ("HA", "Henan", "河南省"),
    ("HB", "Hubei", "湖北省"),
    ("HE", "Hebei", "河北省"),
    ("HI", "Hainan", "海南省"),
    ("HL", "Heilongjiang", "黑龙江省"),
    ("HN", "Hunan", "湖南省"),
    ("JL", "Jilin", "吉林省"),
    ("JS", "Jiangsu", "江苏省"),
    ("JX", "Jiangxi", "江西省"),
    ("LN", "Liaoning", "辽宁省"),
    ("NM", "Inner Mongolia", "内蒙古自治区"),
    ("NX", "Ningxia", "宁夏回族自治区"),
    ("QH", "Qinghai", "青海省"),
    ("SC", "Sichuan", "四川省"),
    ("SD", "Shandong", "山东省"),
    ("SH", "Shanghai", "上海市"),
    ("SN", "Shaanxi", "陕西省"),
    ("SX", "Shanxi", "山西省"),
    ("TJ", "Tianjin", "天津市"),
    ("XJ", "Xinjiang", "新疆维吾尔自治区"),
    ("XZ", "Tibet", "西藏自治区"),
    ("YN", "Yunnan", "云南省"),
    ("ZJ", "Zhejiang", "浙江省"),
];

/// Whether two capital letters are a country.
#[must_use]
pub fn is_country(code: &str) -> bool {
    code.len() == 2 && all().any(|known| known == code)
}

/// All countries, in the order of their codes.
pub fn all() -> impl Iterator<Item = &'static str> {
    COUNTRIES.split_ascii_whitespace()
}

/// The states or provinces that addresses of a country name, if they do.
#[must_use]
pub fn regions(country: &str) -> Option<&'static [Region]> {
    match country {
        "US" => Some(UNITED_STATES),
        "CA" => Some(CANADA),
        "AU" => Some(AUSTRALIA),
        "CN" => Some(CHINA),
        _ => None,
    }
}

/// The code of a state or province that is given by its code or by one of its names.
#[must_use]
pub fn region(regions: &'static [Region], text: &str) -> Option<&'static str> {
    let text = text.trim().to_lowercase();
    let bare = |name: &str| {
        let name = name.to_lowercase();
        [
            "壮族自治区",
            "回族自治区",
            "维吾尔自治区",
            "自治区",
            "省",
            "市",
        ]
        .iter()
        .find_map(|end| name.strip_suffix(end).map(str::to_owned))
        .unwrap_or(name)
    };
    regions
        .iter()
        .find(|(code, name, other)| {
            code.to_lowercase() == text
                || name.to_lowercase() == text
                || (!other.is_empty() && bare(other) == bare(&text))
        })
        .map(|(code, _, _)| *code)
}

/// Whether an address of the country needs a postcode.
#[must_use]
pub fn needs_postcode(country: &str) -> bool {
    !WITHOUT_POSTCODE
        .split_ascii_whitespace()
        .any(|known| known == country)
}

/// The form of a country's postcodes: `9` for a digit, `A` for a letter, `*` for either. Others stand for themselves.
fn forms(country: &str) -> &'static [&'static str] {
    match country {
        "US" => &["99999", "99999-9999"],
        "CA" => &["A9A 9A9"],
        "GB" => &[
            "A9 9AA", "A99 9AA", "AA9 9AA", "AA99 9AA", "A9A 9AA", "AA9A 9AA",
        ],
        "NL" => &["9999 AA"],
        "JP" => &["999-9999"],
        "SE" | "GR" | "CZ" | "SK" => &["999 99"],
        "PL" => &["99-999"],
        "PT" => &["9999-999"],
        "BR" => &["99999-999"],
        "CN" | "IN" | "RU" | "SG" | "RO" | "VN" | "KZ" => &["999999"],
        "DE" | "FR" | "IT" | "ES" | "FI" | "TR" | "MX" | "KR" | "TH" | "MY" | "ID" | "UA"
        | "HR" | "EE" => &["99999"],
        "AT" | "BE" | "CH" | "DK" | "NO" | "AU" | "NZ" | "HU" | "BG" | "LU" | "SI" | "PH" => {
            &["9999"]
        }
        _ => &[],
    }
}

/// A postcode in its country's form. Spaces and hyphens that were left out or added are mended.
///
/// # Errors
/// The form, as an example, when it cannot be one.
pub fn postcode(country: &str, text: &str) -> Result<String, &'static str> {
    let forms = forms(country);
    let Some(example) = forms.first() else {
        return Ok(text.to_owned());
    };
    let bare: Vec<char> = text
        .chars()
        .filter(|letter| !matches!(letter, ' ' | '-'))
        .collect();
    forms
        .iter()
        .find_map(|form| fill(form, &bare))
        .ok_or(example)
}

fn fill(form: &str, letters: &[char]) -> Option<String> {
    let mut letters = letters.iter();
    let mut text = String::new();
    for place in form.chars() {
        let letter = match place {
            '9' => *letters.next().filter(|letter| letter.is_ascii_digit())?,
            'A' => *letters
                .next()
                .filter(|letter| letter.is_ascii_uppercase())?,
            other => other,
        };
        text.push(letter);
    }
    letters.next().is_none().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_249_countries_in_order() {
        let codes: Vec<_> = all().collect();
        assert_eq!(codes.len(), 249);
        assert!(codes.is_sorted());
        assert!(is_country("DE") && !is_country("de") && !is_country("XX") && !is_country("A "));
    }

    #[test]
    fn a_postcode_takes_the_form_of_its_country() {
        for (country, text, expected) in [
            ("US", "62701", Ok("62701")),
            ("US", "627011234", Ok("62701-1234")),
            ("CA", "K1A0B1", Ok("K1A 0B1")),
            ("GB", "SW1A1AA", Ok("SW1A 1AA")),
            ("GB", "M1 1AE", Ok("M1 1AE")),
            ("NL", "1011AB", Ok("1011 AB")),
            ("JP", "1000001", Ok("100-0001")),
            ("PL", "00001", Ok("00-001")),
            ("DE", "1011", Err("99999")),
            ("US", "K1A 0B1", Err("99999")),
            ("IE", "D02 X285", Ok("D02 X285")),
        ] {
            assert_eq!(
                postcode(country, text),
                expected.map(str::to_owned),
                "{country} {text}"
            );
        }
    }

    #[test]
    fn states_are_found_by_code_and_name() {
        let found = |country: &str, text: &str| region(regions(country).unwrap(), text);
        assert_eq!(found("US", "california"), Some("CA"));
        assert_eq!(found("CN", "上海"), Some("SH"));
        assert_eq!(found("CN", "广西"), Some("GX"));
        assert_eq!(found("CN", "浙江省"), Some("ZJ"));
        assert_eq!(found("CA", "Québec"), Some("QC"));
        assert_eq!(found("AU", "nsw"), Some("NSW"));
        assert_eq!(found("US", ""), None);
        assert!(regions("DE").is_none());
    }
}
