-- Where a cart is to go as far as that is known before there is an address, so that tax and shipping can be estimated.
ALTER TABLE cart ADD COLUMN destination JSON NULL AFTER email;
