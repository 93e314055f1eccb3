INSERT INTO invalidation_clock (id, sequence) VALUES (1, 0);
