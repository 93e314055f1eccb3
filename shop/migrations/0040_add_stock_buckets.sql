-- 0: the row of `stock` decides alone. n: the pieces of this variant lie in n rows of stock_bucket as well.
ALTER TABLE stock ADD COLUMN buckets SMALLINT NOT NULL DEFAULT 0, ADD KEY stock_buckets (buckets);
