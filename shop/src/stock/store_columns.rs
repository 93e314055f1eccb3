//! The columns by which statements of other domains count stock: the row of `stock`, named `s`, and its buckets.

/// tracked, `on_hand`, reserved, `backorder_limit`, `low_threshold` of a variant in all of its rows; the row of `stock` is
/// `s`. For a variant without buckets no bucket is looked for.
macro_rules! stock_columns {
    () => {
        "s.tracked, \
         s.on_hand + IF(s.buckets = 0, 0, (SELECT CAST(COALESCE(SUM(sb.on_hand), 0) AS SIGNED) FROM stock_bucket sb \
           WHERE sb.variant_id = s.variant_id)) AS on_hand, \
         s.reserved + IF(s.buckets = 0, 0, (SELECT CAST(COALESCE(SUM(sb.reserved), 0) AS SIGNED) FROM stock_bucket sb \
           WHERE sb.variant_id = s.variant_id)) AS reserved, \
         s.backorder_limit, s.low_threshold"
    };
}

pub(crate) use stock_columns;
