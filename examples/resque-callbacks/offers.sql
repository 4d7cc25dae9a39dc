-- What is looked up for each callback. For SQLite, MySQL and MariaDB alike.
DROP TABLE IF EXISTS publishers;
DROP TABLE IF EXISTS offers;
CREATE TABLE publishers (id INTEGER PRIMARY KEY, callback_url VARCHAR(200) NOT NULL, active BOOLEAN NOT NULL);
CREATE TABLE offers (id INTEGER PRIMARY KEY, coins INTEGER NOT NULL);
INSERT INTO offers VALUES (1, 50), (2, 120), (3, 7);
-- One answers in the end, one has moved and said so to nobody, one has been broken for days, one wants no callbacks.
INSERT INTO publishers VALUES
  (1, 'http://127.0.0.1:8092/earned', TRUE),
  (2, 'http://127.0.0.1:8092/moved', TRUE),
  (3, 'http://127.0.0.1:8092/broken', TRUE),
  (4, 'http://127.0.0.1:8092/earned', FALSE);
