-- The node's own user in MySQL or MariaDB, with rights in its two databases and in no other: not in
-- crypto_transactions, which belongs to the trading node. Run by an administrator; a second run changes nothing.
--   mysql -h HOST -u ADMIN -p -e "SET @password = 'a long one'; SOURCE kuberay/news_collector.sql"
-- Without @password it stops at the first statement. '%' may be the data node's address instead.
SET @create = CONCAT('CREATE USER IF NOT EXISTS ''news_collector''@''%'' IDENTIFIED BY ', QUOTE(@password));
PREPARE made FROM @create;
EXECUTE made;
DEALLOCATE PREPARE made;

CREATE DATABASE IF NOT EXISTS `crypto_prices` CHARACTER SET utf8mb4;
CREATE DATABASE IF NOT EXISTS `stock_market_news` CHARACTER SET utf8mb4;

-- In a grant _ stands for any letter, so it is escaped: crypto_prices only, not cryptoXprices.
-- CREATE, ALTER, INDEX, REFERENCES and DROP are for migrations, which a start brings along.
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, REFERENCES, DROP
  ON `crypto\_prices`.* TO 'news_collector'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, REFERENCES, DROP
  ON `stock\_market\_news`.* TO 'news_collector'@'%';

-- Where the server speaks TLS: ALTER USER 'news_collector'@'%' REQUIRE SSL;
