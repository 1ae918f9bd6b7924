-- A sample of a government portal: departments, articles and questions from the public. All of it is made from
-- numbers, the same each time. For labs only.
SET NAMES utf8mb4;
CREATE TABLE departments (
  id int PRIMARY KEY,
  name varchar(60) NOT NULL UNIQUE
);
CREATE TABLE articles (
  id int AUTO_INCREMENT PRIMARY KEY,
  department_id int NOT NULL,
  title varchar(200) NOT NULL,
  body mediumtext NOT NULL,
  published datetime NOT NULL,
  views int unsigned NOT NULL DEFAULT 0,
  KEY by_day (published),
  CONSTRAINT article_of FOREIGN KEY (department_id) REFERENCES departments (id)
);
CREATE TABLE questions (
  article_id int NOT NULL,
  number smallint NOT NULL,
  asked datetime(3) NOT NULL,
  question text NOT NULL,
  answer text NULL,
  score decimal(4, 2) NULL,
  digest binary(16) NOT NULL,
  PRIMARY KEY (article_id, number),
  CONSTRAINT question_on FOREIGN KEY (article_id) REFERENCES articles (id)
);
CREATE TABLE visits (
  day date NOT NULL,
  page varchar(80) NOT NULL,
  hits int NOT NULL
);
CREATE VIEW unanswered AS SELECT article_id, number, question FROM questions WHERE answer IS NULL;

INSERT INTO departments SELECT seq, CONCAT('样例局第', seq, '科') FROM seq_1_to_24;
INSERT INTO articles (id, department_id, title, body, published, views)
SELECT seq, 1 + seq * 7 % 24, CONCAT('关于做好第 ', seq, ' 号事项的通知'),
  CONCAT('各有关单位：', REPEAT(CONCAT('现就事项 ', seq, ' 通知如下，请“认真”落实；', CHAR(10 USING utf8mb4)), 1 + seq % 9), MD5(seq)),
  TIMESTAMP('2018-01-01 08:30:00') + INTERVAL seq * 317 MINUTE, seq * 7919 % 100000
FROM seq_1_to_8000;
INSERT INTO questions
SELECT 1 + seq % 8000, seq DIV 8000, TIMESTAMP('2019-01-01') + INTERVAL seq * 41 MINUTE, CONCAT('请问第 ', seq, ' 项怎样办理？𬸚'),
  IF(seq % 5 = 0, NULL, CONCAT('您好，办理流程见附件 ', seq)), IF(seq % 3 = 0, NULL, seq % 500 / 100), UNHEX(MD5(seq))
FROM seq_1_to_24000;
INSERT INTO visits SELECT DATE('2024-01-01') + INTERVAL seq DAY, CONCAT('/page/', seq % 7), seq * 31 % 977 FROM seq_1_to_700;
