-- One cart completed and paid for with a card that is accepted: all that the shop sends to the database for it, in order.
-- A statement begins at the margin. `:name` is a value; `name <- statement` keeps the number of the row that was inserted,
-- `name <= statement` the first column of the first row. The bench compares it with what the server counts of the shop.

-- What is decided, in one transaction: the key, the cart, its prices, the order, what it holds.
BEGIN
INSERT INTO idempotency_key (scope, idempotency_key, fingerprint, state, locked_until) VALUES (:scope, :cart_id,
    :scope, 'started', NOW(6) + INTERVAL 40000000 MICROSECOND)
cart <= SELECT id, public_id, customer_id, state, currency, locale, email, destination, shipping_address,
    billing_address, shipping_method, version, updated_at FROM cart WHERE public_id = :cart_id FOR UPDATE
SELECT variant_id, quantity, seen_amount FROM cart_line WHERE cart_id = :cart ORDER BY created_at, variant_id LIMIT
    1000 FOR UPDATE
SELECT code FROM cart_coupon WHERE cart_id = :cart ORDER BY created_at, code LIMIT 100 FOR UPDATE
SELECT v.id, v.product_id, v.sku, p.slug, COALESCE(t.name, d.name, p.slug) AS name, p.tax_category,
    COALESCE(v.weight_grams, 0) AS weight_grams, v.status = 'active' AND p.status = 'active' AND p.published_at <=
    '2026-01-01 00:00:00' AND (p.unpublished_at IS NULL OR p.unpublished_at > '2026-01-01 00:00:00') AS is_sold,
    (SELECT amount FROM price WHERE variant_id = v.id AND currency = 'USD' AND starts_at <= '2026-01-01 00:00:00' AND
    (ends_at IS NULL OR ends_at > '2026-01-01 00:00:00') ORDER BY starts_at DESC, id DESC LIMIT 1) AS amount,
    s.tracked, s.on_hand, s.reserved, s.backorder_limit, s.low_threshold, s.buckets, (SELECT CAST(SUM(b.on_hand -
    b.reserved) AS SIGNED) FROM stock_bucket b WHERE b.variant_id = v.id) AS in_buckets, (SELECT
    JSON_ARRAYAGG(JSON_ARRAY(o.position, o.id, COALESCE(vl.text, ov.value))) FROM variant_option vo STRAIGHT_JOIN
    product_option o ON o.id = vo.option_id STRAIGHT_JOIN product_option_value ov ON ov.id = vo.value_id LEFT JOIN
    label_translation vl ON vl.locale = 'en' AND vl.label = ov.value WHERE vo.variant_id = v.id) AS options, (SELECT
    JSON_ARRAY(m.hash, m.width, m.height, pm.alt) FROM product_media pm STRAIGHT_JOIN media m ON m.hash = pm.hash
    WHERE pm.product_id = p.id AND (pm.variant_id = v.id OR pm.variant_id IS NULL) ORDER BY pm.variant_id IS NULL,
    pm.position LIMIT 1) AS picture FROM JSON_TABLE(:variants, '$[*]' COLUMNS (id BIGINT PATH '$')) wanted
    STRAIGHT_JOIN variant v ON v.id = wanted.id STRAIGHT_JOIN product p ON p.id = v.product_id LEFT JOIN stock s ON
    s.variant_id = v.id LEFT JOIN product_translation t ON t.product_id = p.id AND t.locale = 'en' LEFT JOIN
    product_translation d ON d.product_id = p.id AND d.locale = 'en'
SELECT a.zone_id, a.country, a.region, z.prices_include_tax, (SELECT JSON_ARRAYAGG(JSON_ARRAY(r.tax_category, r.name,
    r.rate)) FROM tax_rate r WHERE r.zone_id = z.id) AS rates FROM zone_area a STRAIGHT_JOIN zone z ON z.id =
    a.zone_id WHERE a.country IN ('DE', '*')
SELECT m.id, m.code, m.zone_id, m.carrier, m.tax_category, m.names, m.days_min, m.days_max, m.position, (SELECT
    JSON_ARRAYAGG(JSON_ARRAY(r.from_grams, r.max_grams, r.amount, r.free_from)) FROM shipping_rate r WHERE r.method_id
    = m.id AND r.currency = 'USD') AS rates FROM shipping_method m WHERE m.zone_id = 1 AND m.status = 'active' ORDER
    BY m.position, m.id LIMIT 20
SELECT '' AS code, FALSE AS coupon_archived, NULL AS coupon_limit, 0 AS coupon_used, NULL AS coupon_per_customer,
    p.id, p.name, p.labels, p.status, p.combines, p.priority, p.rule, p.starts_at, p.ends_at, p.usage_limit, p.used,
    p.per_customer_limit FROM promotion p WHERE p.status = 'active' AND p.needs_coupon = FALSE AND (p.starts_at IS
    NULL OR p.starts_at <= '2026-01-01 00:00:00') AND (p.ends_at IS NULL OR p.ends_at > '2026-01-01 00:00:00') ORDER
    BY p.priority DESC, p.id LIMIT 50
order <- INSERT INTO orders (number, cart_id, customer_id, customer_key, email, locale, currency, state,
    prices_include_tax, subtotal, discount, shipping, tax, total, shipping_method, shipping_name, shipping_address,
    billing_address, ip_key, held_until) VALUES (:number, :cart, NULL, :scope, :email, 'en', 'USD', 'pending', 1,
    1000, 0, 500, 240, 1500, 'post', 'Post', :address, :address, :scope, NOW(6) + INTERVAL 900000000 MICROSECOND)
INSERT INTO order_line (order_id, position, variant_id, product_id, sku, name, slug, options_text, picture,
    weight_grams, quantity, unit_amount, discount, tax_name, tax_rate, tax, total) VALUES (:order, 0, :variant,
    :variant, :sku, :name, :slug, '', NULL, 0, 1, 1000, 0, 'VAT', 190000, 160, 1000)
SELECT id, number, cart_id, customer_id, customer_key, email, locale, currency, state, payment_state,
    fulfilment_state, review_state, cancel_reason, prices_include_tax, subtotal, discount, shipping, tax, total,
    shipping_method, shipping_name, shipping_address, billing_address, held_until, version, created_at, placed_at FROM
    orders WHERE id = :order
event <- INSERT INTO outbox (topic, aggregate, payload) VALUES ('event', :number, :data)
INSERT INTO order_event (order_id, kind, from_state, to_state, actor, data, outbox_id) VALUES (:order,
    'order.created', NULL, NULL, 'customer', :data, :event)
UPDATE idempotency_key SET reference = :order WHERE scope = :scope AND idempotency_key = :cart_id
SELECT name, kind, parameters, weight, mode = 'shadow' FROM risk_rule WHERE mode <> 'off' ORDER BY id LIMIT 200
SELECT EXISTS (SELECT 1 FROM risk_list)
UPDATE cart SET customer_id = NULL, state = 'completing', currency = 'USD', locale = 'en', email = :email, destination
    = NULL, shipping_address = :address, billing_address = NULL, shipping_method = 'post', version = version + 1,
    updated_at = UTC_TIMESTAMP(6) WHERE id = :cart AND version = 1
payment <- INSERT INTO payment (public_id, order_id, provider, state, currency, amount, next_check_at) VALUES
    (:payment_id, :order, 'test', 'started', 'USD', 1500, NOW(6) + INTERVAL 120000000 MICROSECOND)
SELECT id, public_id, order_id, provider, reference, state, currency, amount, authorized, captured, refunded,
    next_action, method, fingerprint, failure_code, checks, version FROM payment WHERE id = :payment
INSERT INTO stock_reservation (order_id, variant_id, bucket, quantity, state) VALUES (:order, :variant, -1, 1, 'held')
UPDATE stock SET reserved = reserved + 1, updated_at = IF(LAST_INSERT_ID( 4 * IF(NOT tracked, 3, IF(on_hand +
    backorder_limit - reserved + 1 <= 0, 1, IF(on_hand + backorder_limit - reserved + 1 <= low_threshold, 2, 3))) +
    IF(NOT tracked, 3, IF(on_hand + backorder_limit - reserved <= 0, 1, IF(on_hand + backorder_limit - reserved <=
    low_threshold, 2, 3)))) > 0, NOW(6), NOW(6)) WHERE variant_id = :variant AND (tracked = FALSE OR on_hand +
    backorder_limit >= reserved + 1)
COMMIT

-- The payment is to be authorised.
BEGIN
SELECT id, public_id, order_id, provider, reference, state, currency, amount, authorized, captured, refunded,
    next_action, method, fingerprint, failure_code, checks, version FROM payment WHERE id = :payment FOR UPDATE
SELECT id, public_id, payment_id, kind, state, amount, is_last, reference, return_id, reason, actor, failure_code,
    checks, TIMESTAMPDIFF(MICROSECOND, created_at, NOW(6)) AS age FROM payment_operation WHERE payment_id = :payment
    ORDER BY id LIMIT 500
SELECT number, locale FROM orders WHERE id = :order
authorisation <- INSERT INTO payment_operation (public_id, payment_id, kind, state, amount, is_last, reference,
    return_id, reason, actor, next_check_at) VALUES (:authorisation_id, :payment, 'authorize', 'started', 1500, 0,
    NULL, NULL, '', 'customer', NOW(6) + INTERVAL :null MICROSECOND)
UPDATE payment SET next_check_at = NOW(6) + INTERVAL 60000000 MICROSECOND WHERE id = :payment
COMMIT

-- The test provider opens it ...
BEGIN
SELECT reference, currency, amount FROM test_payment WHERE opening_key = :payment_id
INSERT INTO test_payment (reference, opening_key, order_number, currency, amount) VALUES (:reference, :payment_id,
    :number, 'USD', 1500)
COMMIT

-- ... by a number that the shop keeps ...
BEGIN
SELECT id, public_id, order_id, provider, reference, state, currency, amount, authorized, captured, refunded,
    next_action, method, fingerprint, failure_code, checks, version FROM payment WHERE id = :payment FOR UPDATE
UPDATE payment SET reference = :reference, version = version + 1 WHERE id = :payment AND (reference IS NULL OR
    reference = :reference)
COMMIT

-- ... and authorises it, which it will also tell by a message.
BEGIN
SELECT reference, order_number, currency, amount, state, authorized, captured, refunded, card, failure_code, locale,
    return_url, CAST(COALESCE(settles_at <= NOW(6), FALSE) AS SIGNED) FROM test_payment WHERE reference = :reference
    FOR UPDATE
SELECT outcome, failure_code FROM test_payment_effect WHERE idempotency_key = :authorisation_id
UPDATE test_payment SET card = 'approved', locale = 'en', return_url = :url WHERE reference = :reference
UPDATE test_payment SET state = 'authorized', authorized = 1500, captured = 0, refunded = 0, failure_code = NULL,
    settles_at = NOW(6) + INTERVAL :null MICROSECOND WHERE reference = :reference
INSERT INTO test_payment_effect (idempotency_key, reference, kind, amount, outcome, failure_code, settles_at) VALUES
    (:authorisation_id, :reference, 'authorize', 1500, 'succeeded', NULL, NOW(6) + INTERVAL :null MICROSECOND)
INSERT INTO test_payment_message (event_id, reference) VALUES (:message, :reference)
COMMIT

-- What the provider said.
BEGIN
SELECT id, public_id, order_id, provider, reference, state, currency, amount, authorized, captured, refunded,
    next_action, method, fingerprint, failure_code, checks, version FROM payment WHERE id = :payment
SELECT id, number, cart_id, customer_id, customer_key, email, locale, currency, state, payment_state,
    fulfilment_state, review_state, cancel_reason, prices_include_tax, subtotal, discount, shipping, tax, total,
    shipping_method, shipping_name, shipping_address, billing_address, held_until, version, created_at, placed_at FROM
    orders WHERE id = :order FOR UPDATE
SELECT id, public_id, order_id, provider, reference, state, currency, amount, authorized, captured, refunded,
    next_action, method, fingerprint, failure_code, checks, version FROM payment WHERE id = :payment FOR UPDATE
UPDATE payment SET state = 'authorized', authorized = 1500, next_action = NULL, method = COALESCE(:data, method),
    fingerprint = COALESCE('477bba133c182267fe5f086924abdc5d', fingerprint), failure_code = NULL, version =
    version + 1 WHERE id = :payment
SELECT id, public_id, payment_id, kind, state, amount, is_last, reference, return_id, reason, actor, failure_code,
    checks, TIMESTAMPDIFF(MICROSECOND, created_at, NOW(6)) AS age FROM payment_operation WHERE payment_id = :payment
    ORDER BY id LIMIT 500
UPDATE payment_operation SET state = 'succeeded', reference = COALESCE(NULL, reference), failure_code = NULL,
    next_check_at = NOW(6) + INTERVAL :null MICROSECOND WHERE id = :authorisation AND state IN ('started', 'unknown')
SELECT CAST(COALESCE(SUM(IF(state IN ('authorized', 'captured'), authorized - captured, 0)), 0) AS SIGNED),
    CAST(COALESCE(SUM(captured), 0) AS SIGNED), CAST(COALESCE(SUM(refunded), 0) AS SIGNED), CAST(COALESCE(SUM(state =
    'voided'), 0) AS SIGNED) FROM payment WHERE order_id = :order
SELECT CAST(COALESCE(SUM(IF(operation.kind = 'capture', operation.amount, 0)), 0) AS SIGNED),
    CAST(COALESCE(SUM(IF(operation.kind = 'refund', operation.amount, 0)), 0) AS SIGNED) FROM payment JOIN
    payment_operation AS operation ON operation.payment_id = payment.id WHERE payment.order_id = :order AND
    operation.state IN ('started', 'unknown')
UPDATE orders SET state = 'pending', payment_state = 'authorized', fulfilment_state = 'unfulfilled', review_state =
    'none', cancel_reason = NULL, version = 2, placed_at = IF(0, NOW(6), placed_at), held_until = IF(0, NULL,
    held_until) WHERE id = :order
event <- INSERT INTO outbox (topic, aggregate, payload) VALUES ('event', :number, :data)
INSERT INTO order_event (order_id, kind, from_state, to_state, actor, data, outbox_id) VALUES (:order,
    'order.authorized', 'unpaid', 'authorized', 'provider:test', :data, :event)
UPDATE payment SET next_check_at = NOW(6) + INTERVAL 5000000 MICROSECOND WHERE id = :payment
COMMIT

-- The order is placed, its payment will be captured, and the answer is kept.
BEGIN
SELECT id, number, cart_id, customer_id, customer_key, email, locale, currency, state, payment_state,
    fulfilment_state, review_state, cancel_reason, prices_include_tax, subtotal, discount, shipping, tax, total,
    shipping_method, shipping_name, shipping_address, billing_address, held_until, version, created_at, placed_at FROM
    orders WHERE id = :order FOR UPDATE
SELECT id, public_id, order_id, provider, reference, state, currency, amount, authorized, captured, refunded,
    next_action, method, fingerprint, failure_code, checks, version FROM payment WHERE order_id = :order ORDER BY id
    LIMIT 100
SELECT name, kind, parameters, weight, mode = 'shadow' FROM risk_rule WHERE mode <> 'off' ORDER BY id LIMIT 200
SELECT EXISTS (SELECT 1 FROM risk_list)
UPDATE stock_reservation SET state = 'allocated' WHERE order_id = :order AND state = 'held'
UPDATE cart SET state = 'ordered', version = version + 1 WHERE id = :cart AND state = 'completing'
UPDATE orders SET state = 'placed', payment_state = 'authorized', fulfilment_state = 'unfulfilled', review_state =
    'none', cancel_reason = NULL, version = 3, placed_at = IF(1, NOW(6), placed_at), held_until = IF(1, NULL,
    held_until) WHERE id = :order
event <- INSERT INTO outbox (topic, aggregate, payload) VALUES ('event', :number, :data)
INSERT INTO order_event (order_id, kind, from_state, to_state, actor, data, outbox_id) VALUES (:order, 'order.placed',
    'pending', 'placed', 'customer', '{}', :event)
SELECT id, public_id, order_id, provider, reference, state, currency, amount, authorized, captured, refunded,
    next_action, method, fingerprint, failure_code, checks, version FROM payment WHERE order_id = :order ORDER BY id
    LIMIT 100
SELECT id, public_id, order_id, provider, reference, state, currency, amount, authorized, captured, refunded,
    next_action, method, fingerprint, failure_code, checks, version FROM payment WHERE id = :payment FOR UPDATE
UPDATE payment SET captured = captured + 1500, version = version + 1 WHERE id = :payment AND state IN ('authorized',
    'captured') AND captured + 1500 <= authorized
INSERT INTO payment_operation (public_id, payment_id, kind, state, amount, is_last, reference, return_id, reason,
    actor, next_check_at) VALUES (:capture_id, :payment, 'capture', 'started', 1500, 1, NULL, NULL, 'the order was
    placed', 'worker', NOW(6) + INTERVAL 60000000 MICROSECOND)
INSERT INTO outbox (topic, aggregate, payload) VALUES ('payment', :payment_id, :data)
UPDATE payment SET next_check_at = NULL WHERE order_id = :order AND state NOT IN ('started', 'unknown',
    'action_required')
UPDATE idempotency_key SET state = 'done', status = 201, headers = :data, body = :data WHERE scope = :scope AND
    idempotency_key = :cart_id AND state = 'started'
COMMIT
