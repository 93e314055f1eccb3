-- Old carts of guests are deleted in the order of their age; those of customers stand in the way of none.
ALTER TABLE cart ADD KEY cart_guest (state, customer_id, updated_at);
