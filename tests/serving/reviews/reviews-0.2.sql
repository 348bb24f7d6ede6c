BEGIN TRANSACTION;
CREATE TABLE review_event (
	id INTEGER NOT NULL, 
	fact INTEGER NOT NULL, 
	action VARCHAR(16) NOT NULL, 
	"before" VARCHAR(16) NOT NULL, 
	"after" VARCHAR(16) NOT NULL, 
	reviewer TEXT NOT NULL, 
	note TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	undoes INTEGER, 
	request VARCHAR(64), 
	at VARCHAR(40) NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (fact, version), 
	FOREIGN KEY(fact) REFERENCES review_fact (id), 
	UNIQUE (undoes), 
	FOREIGN KEY(undoes) REFERENCES review_event (id), 
	UNIQUE (request)
);
INSERT INTO "review_event" VALUES(1,1,'accept','open','accepted','ann','sure',1,NULL,NULL,'2026-11-28T03:58:10.520+00:00');
INSERT INTO "review_event" VALUES(2,2,'reject','open','rejected','bob','',1,NULL,NULL,'2026-11-28T03:58:10.578+00:00');
INSERT INTO "review_event" VALUES(3,3,'skip','open','open','bob','',1,NULL,NULL,'2026-11-28T03:58:10.592+00:00');
INSERT INTO "review_event" VALUES(4,3,'undo','open','open','bob','',2,3,NULL,'2026-11-28T03:58:10.605+00:00');
CREATE TABLE review_fact (
	id INTEGER NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	head TEXT NOT NULL, 
	relation TEXT NOT NULL, 
	tail TEXT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	version INTEGER NOT NULL, 
	reviewer TEXT NOT NULL, 
	note TEXT NOT NULL, 
	probability FLOAT, 
	changed VARCHAR(40) NOT NULL, 
	lease_holder TEXT NOT NULL, 
	lease_until FLOAT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE ("key")
);
INSERT INTO "review_fact" VALUES(1,'58f5a4f6896a644732969c49e3cde06e5a4114cd66948bc621bd62e94915bd87','a','r','b','accepted',1,'ann','sure',0.9,'2026-11-28T03:58:10.520+00:00','',0.0);
INSERT INTO "review_fact" VALUES(2,'df6bb1d75b9383fec46b8a763d6a24e193d840c5a0e680fd73c7cce738ddacc9','a','r','c','rejected',1,'bob','',0.2,'2026-11-28T03:58:10.578+00:00','',0.0);
INSERT INTO "review_fact" VALUES(3,'6b94023f4ca4851101cfe3a9ebad02c3375b2fe21a7f7bc8835c06caa6a7fe68','a','r','d','open',2,'','',0.1,'2026-11-28T03:58:10.605+00:00','bob',1.79583859060594892504e+09);
CREATE TABLE review_setting (
	name VARCHAR(64) NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "review_setting" VALUES('secret','5ec4e7');
CREATE TABLE review_skip (
	fact INTEGER NOT NULL, 
	reviewer_key VARCHAR(64) NOT NULL, 
	PRIMARY KEY (fact, reviewer_key), 
	FOREIGN KEY(fact) REFERENCES review_fact (id)
);
CREATE INDEX ix_review_fact_state ON review_fact (state);
CREATE INDEX review_event_reviewer ON review_event (reviewer, id);
CREATE TRIGGER review_event_no_update BEFORE UPDATE ON review_event BEGIN SELECT RAISE(ABORT, 'the history of reviews is only ever added to'); END;
CREATE TRIGGER review_event_no_delete BEFORE DELETE ON review_event BEGIN SELECT RAISE(ABORT, 'the history of reviews is only ever added to'); END;
COMMIT;
