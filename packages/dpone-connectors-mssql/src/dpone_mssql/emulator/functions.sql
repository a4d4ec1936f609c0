-- T-SQL's conversions and functions over the types of `types.py`. Moments are counted from the first day of year one.

-- not immutable, or a planner would call it for a branch that is never taken
CREATE FUNCTION tsql.fail(state text, message text) RETURNS int LANGUAGE plpgsql VOLATILE AS
$$ BEGIN RAISE EXCEPTION USING ERRCODE = state, MESSAGE = message; END $$;

-- ------------------------------------------------------------------ days and ticks
CREATE FUNCTION tsql.day_number(d date) RETURNS int8 LANGUAGE sql IMMUTABLE STRICT RETURN d - DATE '0001-01-01';
CREATE FUNCTION tsql.date_of_day(n int8) RETURNS date LANGUAGE sql IMMUTABLE STRICT RETURN DATE '0001-01-01' + n::int;
CREATE FUNCTION tsql.raw(tsql.datetime2) RETURNS int8 LANGUAGE internal IMMUTABLE STRICT AS 'int8up';
CREATE FUNCTION tsql.raw(tsql.time) RETURNS int8 LANGUAGE internal IMMUTABLE STRICT AS 'int8up';
CREATE FUNCTION tsql.raw(tsql.datetime) RETURNS int8 LANGUAGE internal IMMUTABLE STRICT AS 'int8up';
CREATE FUNCTION tsql.raw(tsql.smalldatetime) RETURNS int8 LANGUAGE internal IMMUTABLE STRICT AS 'int8up';
CREATE FUNCTION tsql.datetime2_raw(int8) RETURNS tsql.datetime2 LANGUAGE internal IMMUTABLE STRICT AS 'int8up';
CREATE FUNCTION tsql.time_raw(int8) RETURNS tsql.time LANGUAGE internal IMMUTABLE STRICT AS 'int8up';
CREATE FUNCTION tsql.datetime_raw(int8) RETURNS tsql.datetime LANGUAGE internal IMMUTABLE STRICT AS 'int8up';
CREATE FUNCTION tsql.smalldatetime_raw(int8) RETURNS tsql.smalldatetime LANGUAGE internal IMMUTABLE STRICT AS 'int8up';
CREATE FUNCTION tsql.offset_raw(utc int8, minutes int) RETURNS tsql.datetimeoffset LANGUAGE sql IMMUTABLE STRICT
    RETURN CAST(CAST(utc::numeric * 10000 + minutes + 5000 AS numeric) AS tsql.datetimeoffset);
CREATE FUNCTION tsql.utc(v tsql.datetimeoffset) RETURNS int8 LANGUAGE sql IMMUTABLE STRICT RETURN tsql.ticks(v)::int8;
CREATE FUNCTION tsql.minutes(v tsql.datetimeoffset) RETURNS int LANGUAGE sql IMMUTABLE STRICT
    RETURN (mod(CAST(v AS numeric), 10000) - 5000)::int;
CREATE FUNCTION tsql.wall(v tsql.datetimeoffset) RETURNS int8 LANGUAGE sql IMMUTABLE STRICT
    RETURN tsql.utc(v) + tsql.minutes(v) * 600000000::int8;
CREATE FUNCTION tsql.rounded(ticks int8, digits int) RETURNS int8 LANGUAGE sql IMMUTABLE STRICT
    RETURN CASE WHEN digits >= 7 THEN ticks
        ELSE (ticks + 5 * (10 ^ (6 - digits))::int8) / (10 ^ (7 - digits))::int8 * (10 ^ (7 - digits))::int8 END;
CREATE FUNCTION tsql.in_range(ticks int8) RETURNS int8 LANGUAGE sql IMMUTABLE STRICT
    RETURN CASE WHEN ticks BETWEEN 0 AND 3155378975999999999 THEN ticks
        ELSE ticks + tsql.fail('22008', 'Adding a value caused an overflow of a date.') END;

-- ------------------------------------------------------------------------ reading
CREATE FUNCTION tsql.clock_ticks(h text, m text, s text, f text) RETURNS int8 LANGUAGE sql IMMUTABLE
    RETURN ((h::int8 * 60 + m::int8) * 60 + coalesce(s, '0')::int8) * 10000000 + rpad(coalesce(f, ''), 7, '0')::int8;
CREATE FUNCTION tsql.moment(v text) RETURNS int8 LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE p text[] := regexp_match(v, '^\s*(\d{4})-?(\d\d)-?(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,7}))?)?)?\s*$');
BEGIN
    IF p IS NULL OR coalesce(p[4], '0')::int > 23 OR coalesce(p[5], '0')::int > 59 OR coalesce(p[6], '0')::int > 59 THEN
        PERFORM tsql.fail('22007', 'Conversion failed when converting date and/or time from character string.');
    END IF;
    RETURN tsql.day_number(make_date(p[1]::int, p[2]::int, p[3]::int)) * 864000000000
        + CASE WHEN p[4] IS NULL THEN 0 ELSE tsql.clock_ticks(p[4], p[5], p[6], p[7]) END;
END $$;
CREATE FUNCTION tsql.read_datetime2(v text) RETURNS tsql.datetime2 LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    IF v ~ '[+-]\d\d:\d\d\s*$' THEN RETURN tsql.datetime2_raw(tsql.wall(tsql.read_datetimeoffset(v))); END IF;
    RETURN tsql.datetime2_raw(tsql.moment(v));
END $$;
CREATE FUNCTION tsql.read_datetimeoffset(v text) RETURNS tsql.datetimeoffset LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE p text[] := regexp_match(v, '^(.*?)\s*([+-])(\d\d):(\d\d)\s*$'); m int;
BEGIN
    IF p IS NULL THEN RETURN tsql.offset_raw(tsql.moment(regexp_replace(v, 'Z\s*$', '')), 0); END IF;
    m := (p[3]::int * 60 + p[4]::int) * CASE p[2] WHEN '-' THEN -1 ELSE 1 END;
    RETURN tsql.offset_raw(tsql.in_range(tsql.moment(p[1]) - m * 600000000::int8), m);
END $$;
CREATE FUNCTION tsql.read_date(v text) RETURNS date LANGUAGE sql IMMUTABLE STRICT
    RETURN tsql.date_of_day(tsql.moment(v) / 864000000000);
CREATE FUNCTION tsql.read_time(v text) RETURNS tsql.time LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE p text[] := regexp_match(v, '^\s*(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,7}))?)?\s*$');
BEGIN
    IF p IS NULL OR p[1]::int > 23 OR p[2]::int > 59 OR coalesce(p[3], '0')::int > 59 THEN
        RETURN tsql.time_raw(mod(tsql.moment(v), 864000000000));
    END IF;
    RETURN tsql.time_raw(tsql.clock_ticks(p[1], p[2], p[3], p[4]));
END $$;
CREATE FUNCTION tsql.datetime_from(ticks int8) RETURNS tsql.datetime LANGUAGE sql IMMUTABLE STRICT
    RETURN tsql.datetime_raw(round(ticks * 3::numeric / 100000)::int8
        + CASE WHEN ticks < 552877920000000000 THEN tsql.fail('22008', 'out-of-range datetime value') ELSE 0 END);
CREATE FUNCTION tsql.datetime_ticks(v tsql.datetime) RETURNS int8 LANGUAGE sql IMMUTABLE STRICT
    RETURN round(tsql.raw(v) * 100000::numeric / 3)::int8;
CREATE FUNCTION tsql.smalldatetime_from(ticks int8) RETURNS tsql.smalldatetime LANGUAGE sql IMMUTABLE STRICT
    RETURN tsql.smalldatetime_raw((ticks + 300000000) / 600000000 + CASE
        WHEN ticks NOT BETWEEN 599266080000000000 AND 655889183699999999
        THEN tsql.fail('22008', 'out-of-range smalldatetime value') ELSE 0 END);
CREATE FUNCTION tsql.read_datetime(v text) RETURNS tsql.datetime LANGUAGE sql IMMUTABLE STRICT
    RETURN tsql.datetime_from(tsql.moment(v));
CREATE FUNCTION tsql.read_smalldatetime(v text) RETURNS tsql.smalldatetime LANGUAGE sql IMMUTABLE STRICT
    RETURN tsql.smalldatetime_from(tsql.moment(v));
CREATE FUNCTION tsql.read_int2(v text) RETURNS int2 LANGUAGE sql IMMUTABLE STRICT RETURN v::int2;
CREATE FUNCTION tsql.read_int4(v text) RETURNS int4 LANGUAGE sql IMMUTABLE STRICT RETURN v::int4;
CREATE FUNCTION tsql.read_int8(v text) RETURNS int8 LANGUAGE sql IMMUTABLE STRICT RETURN v::int8;
CREATE FUNCTION tsql.read_numeric(v text) RETURNS numeric LANGUAGE sql IMMUTABLE STRICT RETURN v::numeric;
CREATE FUNCTION tsql.read_float4(v text) RETURNS float4 LANGUAGE sql IMMUTABLE STRICT RETURN v::float4;
CREATE FUNCTION tsql.read_float8(v text) RETURNS float8 LANGUAGE sql IMMUTABLE STRICT RETURN v::float8;
CREATE FUNCTION tsql.read_uuid(v text) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT RETURN v::uuid;
CREATE FUNCTION tsql.bit_from(v numeric) RETURNS tsql.bit LANGUAGE plpgsql IMMUTABLE STRICT AS
$$ BEGIN RETURN CASE WHEN v = 0 THEN '0' ELSE '1' END; END $$;
CREATE FUNCTION tsql.tinyint_from(v numeric) RETURNS tsql.tinyint LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    IF v NOT BETWEEN 0 AND 255 THEN PERFORM tsql.fail('22003', 'Arithmetic overflow error for data type tinyint.'); END IF;
    RETURN trunc(v)::text;
END $$;
CREATE FUNCTION tsql.read_bit(v text) RETURNS tsql.bit LANGUAGE sql IMMUTABLE STRICT
    RETURN tsql.bit_from(CASE lower(v) WHEN 'true' THEN 1 WHEN 'false' THEN 0 ELSE v::numeric END);
CREATE FUNCTION tsql.read_tinyint(v text) RETURNS tsql.tinyint LANGUAGE sql IMMUTABLE STRICT RETURN tsql.tinyint_from(v::numeric);
CREATE FUNCTION tsql.money_from(v numeric) RETURNS tsql.money LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    IF abs(v) > 922337203685477.5808 THEN PERFORM tsql.fail('22003', 'Arithmetic overflow error for data type money.'); END IF;
    RETURN round(v, 4)::text;
END $$;
CREATE FUNCTION tsql.smallmoney_from(v numeric) RETURNS tsql.smallmoney LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    IF abs(v) > 214748.3648 THEN PERFORM tsql.fail('22003', 'Arithmetic overflow error for data type smallmoney.'); END IF;
    RETURN round(v, 4)::text;
END $$;
CREATE FUNCTION tsql.read_money(v text) RETURNS tsql.money LANGUAGE sql IMMUTABLE STRICT RETURN tsql.money_from(v::numeric);
CREATE FUNCTION tsql.read_smallmoney(v text) RETURNS tsql.smallmoney LANGUAGE sql IMMUTABLE STRICT RETURN tsql.smallmoney_from(v::numeric);

-- ------------------------------------------------------------------------ printing
CREATE FUNCTION tsql.clock_text(ticks int8, digits int) RETURNS text LANGUAGE sql IMMUTABLE STRICT
    RETURN lpad((ticks / 36000000000)::text, 2, '0') || ':' || lpad((ticks / 600000000 % 60)::text, 2, '0') || ':'
        || lpad((ticks / 10000000 % 60)::text, 2, '0')
        || CASE digits WHEN 0 THEN '' ELSE '.' || left(lpad((ticks % 10000000)::text, 7, '0'), digits) END;
CREATE FUNCTION tsql.moment_text(ticks int8, digits int) RETURNS text LANGUAGE sql IMMUTABLE STRICT
    RETURN to_char(tsql.date_of_day(ticks / 864000000000), 'YYYY-MM-DD') || ' '
        || tsql.clock_text(mod(ticks, 864000000000), digits);
CREATE FUNCTION tsql.offset_text(m int) RETURNS text LANGUAGE sql IMMUTABLE STRICT
    RETURN CASE WHEN m < 0 THEN '-' ELSE '+' END || lpad((abs(m) / 60)::text, 2, '0') || ':' || lpad((abs(m) % 60)::text, 2, '0');
CREATE FUNCTION tsql.printed(v date, digits int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN to_char(v, 'YYYY-MM-DD')::tsql.nvarchar;
CREATE FUNCTION tsql.printed(v tsql.time, digits int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN tsql.clock_text(tsql.raw(v), digits)::tsql.nvarchar;
CREATE FUNCTION tsql.printed(v tsql.datetime2, digits int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN tsql.moment_text(tsql.raw(v), digits)::tsql.nvarchar;
CREATE FUNCTION tsql.printed(v tsql.datetime, digits int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN tsql.moment_text(tsql.datetime_ticks(v), 3)::tsql.nvarchar;
CREATE FUNCTION tsql.printed(v tsql.smalldatetime, digits int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN tsql.moment_text(tsql.raw(v) * 600000000, 0)::tsql.nvarchar;
CREATE FUNCTION tsql.printed(v tsql.datetimeoffset, digits int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT
    RETURN (tsql.moment_text(tsql.wall(v), digits) || ' ' || tsql.offset_text(tsql.minutes(v)))::tsql.nvarchar;
CREATE FUNCTION tsql.printed(v uuid, digits int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN upper(v::text)::tsql.nvarchar;
CREATE FUNCTION tsql.printed(v numeric, digits int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN v::text::tsql.nvarchar;
CREATE FUNCTION tsql.printed(v tsql.money, digits int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN round(v::numeric, 2)::text::tsql.nvarchar;
CREATE FUNCTION tsql.printed(v tsql.smallmoney, digits int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN round(v::numeric, 2)::text::tsql.nvarchar;
CREATE FUNCTION tsql.printed(v int8, digits int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN v::text::tsql.nvarchar;
CREATE FUNCTION tsql.printed(v tsql.nvarchar, digits int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN v;
CREATE FUNCTION tsql.printed(v tsql.nvarchar_bin, digits int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN v::tsql.nvarchar;
CREATE FUNCTION tsql.printed(v tsql.xml, digits int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN v::text::tsql.nvarchar;
CREATE FUNCTION tsql.printed(v tsql.json, digits int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN v::text::tsql.nvarchar;
CREATE FUNCTION tsql.printed(v tsql.hierarchyid, digits int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN v::text::tsql.nvarchar;
CREATE FUNCTION tsql.printed(v tsql.sql_variant, digits int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN v::text::tsql.nvarchar;
CREATE FUNCTION tsql.printed(v float8, digits int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN v::numeric(20, 6)::text::tsql.nvarchar;
CREATE FUNCTION tsql.printed(v tsql.varbinary, style int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT
    RETURN (CASE style WHEN 1 THEN '0x' ELSE '' END || upper(encode(v::bytea, 'hex')))::tsql.nvarchar;

CREATE FUNCTION tsql.printed(v float4, digits int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN v::numeric(20, 6)::text::tsql.nvarchar;
CREATE FUNCTION tsql.printed(v int4, digits int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN v::text::tsql.nvarchar;
CREATE FUNCTION tsql.printed(v int2, digits int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN v::text::tsql.nvarchar;
CREATE FUNCTION tsql.printed(v tsql.bit, digits int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN v::int2::text::tsql.nvarchar;
CREATE FUNCTION tsql.printed(v tsql.tinyint, digits int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN v::int2::text::tsql.nvarchar;

-- ----------------------------------------------------------- conversions between moments
CREATE FUNCTION tsql.datetime2_of(date) RETURNS tsql.datetime2 LANGUAGE sql IMMUTABLE STRICT RETURN tsql.datetime2_raw(tsql.day_number($1) * 864000000000);
CREATE CAST (date AS tsql.datetime2) WITH FUNCTION tsql.datetime2_of(date) AS IMPLICIT;
CREATE FUNCTION tsql.datetime2_of(tsql.datetime) RETURNS tsql.datetime2 LANGUAGE sql IMMUTABLE STRICT RETURN tsql.datetime2_raw(tsql.datetime_ticks($1));
CREATE CAST (tsql.datetime AS tsql.datetime2) WITH FUNCTION tsql.datetime2_of(tsql.datetime) AS IMPLICIT;
CREATE FUNCTION tsql.datetime2_of(tsql.smalldatetime) RETURNS tsql.datetime2 LANGUAGE sql IMMUTABLE STRICT RETURN tsql.datetime2_raw(tsql.raw($1) * 600000000);
CREATE CAST (tsql.smalldatetime AS tsql.datetime2) WITH FUNCTION tsql.datetime2_of(tsql.smalldatetime) AS IMPLICIT;
CREATE FUNCTION tsql.datetime2_of(tsql.datetimeoffset) RETURNS tsql.datetime2 LANGUAGE sql IMMUTABLE STRICT RETURN tsql.datetime2_raw(tsql.wall($1));
CREATE CAST (tsql.datetimeoffset AS tsql.datetime2) WITH FUNCTION tsql.datetime2_of(tsql.datetimeoffset) AS ASSIGNMENT;
CREATE FUNCTION tsql.datetimeoffset_of(tsql.datetime2) RETURNS tsql.datetimeoffset LANGUAGE sql IMMUTABLE STRICT RETURN tsql.offset_raw(tsql.raw($1), 0);
CREATE CAST (tsql.datetime2 AS tsql.datetimeoffset) WITH FUNCTION tsql.datetimeoffset_of(tsql.datetime2) AS IMPLICIT;
CREATE FUNCTION tsql.date_of(tsql.datetime2) RETURNS date LANGUAGE sql IMMUTABLE STRICT RETURN tsql.date_of_day(tsql.raw($1) / 864000000000);
CREATE CAST (tsql.datetime2 AS date) WITH FUNCTION tsql.date_of(tsql.datetime2) AS ASSIGNMENT;
CREATE FUNCTION tsql.date_of(tsql.datetime) RETURNS date LANGUAGE sql IMMUTABLE STRICT RETURN tsql.date_of_day(tsql.datetime_ticks($1) / 864000000000);
CREATE CAST (tsql.datetime AS date) WITH FUNCTION tsql.date_of(tsql.datetime) AS ASSIGNMENT;
CREATE FUNCTION tsql.date_of(tsql.smalldatetime) RETURNS date LANGUAGE sql IMMUTABLE STRICT RETURN tsql.date_of_day(tsql.raw($1) / 1440);
CREATE CAST (tsql.smalldatetime AS date) WITH FUNCTION tsql.date_of(tsql.smalldatetime) AS ASSIGNMENT;
CREATE FUNCTION tsql.time_of(tsql.datetime2) RETURNS tsql.time LANGUAGE sql IMMUTABLE STRICT RETURN tsql.time_raw(mod(tsql.raw($1), 864000000000));
CREATE CAST (tsql.datetime2 AS tsql.time) WITH FUNCTION tsql.time_of(tsql.datetime2) AS ASSIGNMENT;
CREATE FUNCTION tsql.datetime_of(tsql.datetime2) RETURNS tsql.datetime LANGUAGE sql IMMUTABLE STRICT RETURN tsql.datetime_from(tsql.raw($1));
CREATE CAST (tsql.datetime2 AS tsql.datetime) WITH FUNCTION tsql.datetime_of(tsql.datetime2) AS ASSIGNMENT;
CREATE FUNCTION tsql.smalldatetime_of(tsql.datetime2) RETURNS tsql.smalldatetime LANGUAGE sql IMMUTABLE STRICT RETURN tsql.smalldatetime_from(tsql.raw($1));
CREATE CAST (tsql.datetime2 AS tsql.smalldatetime) WITH FUNCTION tsql.smalldatetime_of(tsql.datetime2) AS ASSIGNMENT;

CREATE FUNCTION tsql.datetime2_sized(v tsql.datetime2, m int4, e bool) RETURNS tsql.datetime2 LANGUAGE sql IMMUTABLE STRICT
    RETURN CASE WHEN m >= 12 THEN v ELSE tsql.datetime2_raw(tsql.in_range(tsql.rounded(tsql.raw(v), m - 5))) END;
CREATE CAST (tsql.datetime2 AS tsql.datetime2) WITH FUNCTION tsql.datetime2_sized(tsql.datetime2, int4, bool) AS IMPLICIT;
CREATE FUNCTION tsql.time_sized(v tsql.time, m int4, e bool) RETURNS tsql.time LANGUAGE sql IMMUTABLE STRICT
    RETURN CASE WHEN m >= 12 THEN v ELSE tsql.time_raw(mod(tsql.rounded(tsql.raw(v), m - 5), 864000000000)) END;
CREATE CAST (tsql.time AS tsql.time) WITH FUNCTION tsql.time_sized(tsql.time, int4, bool) AS IMPLICIT;
CREATE FUNCTION tsql.datetimeoffset_sized(v tsql.datetimeoffset, m int4, e bool) RETURNS tsql.datetimeoffset LANGUAGE sql IMMUTABLE STRICT
    RETURN CASE WHEN m >> 16 >= 31 THEN v ELSE tsql.offset_raw(tsql.rounded(tsql.utc(v), (m >> 16) - 24), tsql.minutes(v)) END;
CREATE CAST (tsql.datetimeoffset AS tsql.datetimeoffset) WITH FUNCTION tsql.datetimeoffset_sized(tsql.datetimeoffset, int4, bool) AS IMPLICIT;

-- ------------------------------------------------------------------------- numbers
CREATE CAST (numeric AS tsql.bit) WITH FUNCTION tsql.bit_from(numeric) AS ASSIGNMENT;
CREATE CAST (numeric AS tsql.tinyint) WITH FUNCTION tsql.tinyint_from(numeric) AS ASSIGNMENT;
CREATE CAST (numeric AS tsql.money) WITH FUNCTION tsql.money_from(numeric) AS ASSIGNMENT;
CREATE CAST (numeric AS tsql.smallmoney) WITH FUNCTION tsql.smallmoney_from(numeric) AS ASSIGNMENT;
CREATE FUNCTION tsql.bit_from(int4) RETURNS tsql.bit LANGUAGE sql IMMUTABLE STRICT RETURN tsql.bit_from($1::numeric);
CREATE CAST (int4 AS tsql.bit) WITH FUNCTION tsql.bit_from(int4) AS ASSIGNMENT;
CREATE FUNCTION tsql.tinyint_from(int4) RETURNS tsql.tinyint LANGUAGE sql IMMUTABLE STRICT RETURN tsql.tinyint_from($1::numeric);
CREATE CAST (int4 AS tsql.tinyint) WITH FUNCTION tsql.tinyint_from(int4) AS ASSIGNMENT;
CREATE FUNCTION tsql.wider(tsql.bit) RETURNS int4 LANGUAGE internal IMMUTABLE STRICT AS 'i2toi4';
CREATE CAST (tsql.bit AS int4) WITH FUNCTION tsql.wider(tsql.bit) AS IMPLICIT;
CREATE FUNCTION tsql.wider(tsql.tinyint) RETURNS int4 LANGUAGE internal IMMUTABLE STRICT AS 'i2toi4';
CREATE CAST (tsql.tinyint AS int4) WITH FUNCTION tsql.wider(tsql.tinyint) AS IMPLICIT;
CREATE FUNCTION tsql.widest(tsql.tinyint) RETURNS int8 LANGUAGE internal IMMUTABLE STRICT AS 'int28';
CREATE CAST (tsql.tinyint AS int8) WITH FUNCTION tsql.widest(tsql.tinyint) AS ASSIGNMENT;
CREATE FUNCTION tsql.decimal_of(tsql.tinyint) RETURNS numeric LANGUAGE internal IMMUTABLE STRICT AS 'int2_numeric';
CREATE CAST (tsql.tinyint AS numeric) WITH FUNCTION tsql.decimal_of(tsql.tinyint) AS ASSIGNMENT;
CREATE FUNCTION tsql.decimal_of(tsql.bit) RETURNS numeric LANGUAGE internal IMMUTABLE STRICT AS 'int2_numeric';
CREATE CAST (tsql.bit AS numeric) WITH FUNCTION tsql.decimal_of(tsql.bit) AS ASSIGNMENT;

-- ---------------------------------------------------------------------------- text
CREATE FUNCTION tsql.units(v text) RETURNS int LANGUAGE sql IMMUTABLE STRICT
    RETURN length(v) + length(regexp_replace(v, '[^\U00010000-\U0010BFFF]', '', 'g'));
CREATE FUNCTION tsql.sized(v text, m int4, e bool, pads bool, wide bool) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE n int := m - 4; cut text;
BEGIN
    IF m < 0 OR (octet_length(v) <= n AND NOT pads) THEN RETURN v; END IF;
    IF (CASE WHEN wide THEN tsql.units(v) ELSE length(v) END) <= n THEN RETURN CASE WHEN pads THEN rpad(v, n) ELSE v END; END IF;
    cut := left(v, n);
    WHILE wide AND tsql.units(cut) > n LOOP cut := left(cut, -1); END LOOP;
    IF NOT e AND rtrim(v, ' ') <> rtrim(cut, ' ') THEN PERFORM tsql.fail('22001', 'String or binary data would be truncated.'); END IF;
    RETURN cut;
END $$;
DO $$
DECLARE t text; pads bool; wide bool;
BEGIN
    FOREACH t IN ARRAY ARRAY['nvarchar', 'varchar', 'nchar', 'char', 'nvarchar_bin', 'varchar_bin', 'nchar_bin', 'char_bin', 'varchar_cyr', 'char_cyr'] LOOP
        pads := t IN ('nchar', 'char', 'nchar_bin', 'char_bin', 'char_cyr'); wide := left(t, 1) = 'n';
        EXECUTE format('CREATE FUNCTION tsql.%1$s_sized(v tsql.%1$s, m int4, e bool) RETURNS tsql.%1$s LANGUAGE sql IMMUTABLE STRICT RETURN CAST(tsql.sized(CAST(v AS text), m, e, %2$L, %3$L) AS tsql.%1$s)', t, pads, wide);
        EXECUTE format('CREATE CAST (tsql.%1$s AS tsql.%1$s) WITH FUNCTION tsql.%1$s_sized(tsql.%1$s, int4, bool) AS IMPLICIT', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['varchar', 'char', 'text', 'varchar_bin', 'char_bin', 'text_bin'] LOOP
        EXECUTE format('CREATE FUNCTION tsql.%1$s_paged(v tsql.nvarchar) RETURNS tsql.%1$s LANGUAGE sql IMMUTABLE STRICT RETURN CAST(regexp_replace(CAST(v AS text), ''[^\u0001-\u007f\u00a0-\u00ff\u20ac\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u017d\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u017e\u0178]'', ''?'', ''g'') AS tsql.%1$s)', t);
        EXECUTE format('CREATE CAST (tsql.nvarchar AS tsql.%1$s) WITH FUNCTION tsql.%1$s_paged(tsql.nvarchar) AS ASSIGNMENT', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['varchar_cyr', 'char_cyr'] LOOP
        EXECUTE format('CREATE FUNCTION tsql.%1$s_paged(v tsql.nvarchar) RETURNS tsql.%1$s LANGUAGE sql IMMUTABLE STRICT RETURN CAST(regexp_replace(CAST(v AS text), ''[^\u0001-\u007f\u0401-\u045f\u2116\u20ac]'', ''?'', ''g'') AS tsql.%1$s)', t);
        EXECUTE format('CREATE CAST (tsql.nvarchar AS tsql.%1$s) WITH FUNCTION tsql.%1$s_paged(tsql.nvarchar) AS ASSIGNMENT', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['nchar', 'ntext', 'sysname', 'nchar_bin', 'ntext_bin', 'sysname_bin', 'xml', 'json', 'sql_variant', 'hierarchyid'] LOOP
        EXECUTE format('CREATE CAST (tsql.nvarchar AS tsql.%1$s) WITHOUT FUNCTION AS ASSIGNMENT', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['xml', 'json', 'sql_variant', 'hierarchyid'] LOOP
        EXECUTE format('CREATE CAST (tsql.%1$s AS tsql.nvarchar) WITHOUT FUNCTION AS ASSIGNMENT', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['date', 'tsql.time', 'tsql.datetime2', 'tsql.datetime', 'tsql.smalldatetime', 'tsql.datetimeoffset', 'uuid', 'numeric', 'int2', 'int4', 'int8', 'float8', 'float4', 'tsql.bit', 'tsql.tinyint', 'tsql.money', 'tsql.smallmoney'] LOOP
        EXECUTE format('CREATE FUNCTION tsql.nvarchar_of(v %1$s) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN tsql.printed(v, 7)', t);
        EXECUTE format('CREATE CAST (%1$s AS tsql.nvarchar) WITH FUNCTION tsql.nvarchar_of(%1$s) AS ASSIGNMENT', t);
    END LOOP;
END $$;
CREATE FUNCTION tsql.varbinary_sized(v tsql.varbinary, m int4, e bool) RETURNS tsql.varbinary LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    IF m < 0 OR octet_length(v::bytea) <= m - 4 THEN RETURN v; END IF;
    IF NOT e THEN PERFORM tsql.fail('22001', 'String or binary data would be truncated.'); END IF;
    RETURN substring(v::bytea FROM 1 FOR m - 4)::tsql.varbinary;
END $$;
CREATE CAST (tsql.varbinary AS tsql.varbinary) WITH FUNCTION tsql.varbinary_sized(tsql.varbinary, int4, bool) AS IMPLICIT;
CREATE FUNCTION tsql.binary_sized(v tsql.binary, m int4, e bool) RETURNS tsql.binary LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    IF m >= 0 AND octet_length(v::bytea) > m - 4 AND NOT e THEN PERFORM tsql.fail('22001', 'String or binary data would be truncated.'); END IF;
    RETURN substring(v::bytea || decode(repeat('00', greatest(0, m - 4 - octet_length(v::bytea))), 'hex') FROM 1 FOR greatest(m - 4, 1))::tsql.binary;
END $$;
CREATE CAST (tsql.binary AS tsql.binary) WITH FUNCTION tsql.binary_sized(tsql.binary, int4, bool) AS IMPLICIT;
CREATE FUNCTION tsql.varbinary_of(v tsql.nvarchar) RETURNS tsql.varbinary LANGUAGE sql IMMUTABLE STRICT
    RETURN (SELECT coalesce(string_agg(CASE WHEN ascii(c) < 65536 THEN set_byte(set_byte('\x0000', 0, ascii(c) & 255), 1, ascii(c) >> 8) ELSE '\x'::bytea END, NULL ORDER BY n), '\x')
        FROM unnest(regexp_split_to_array(CAST(v AS text), '')) WITH ORDINALITY AS u(c, n) WHERE c <> '')::tsql.varbinary;
CREATE CAST (tsql.nvarchar AS tsql.varbinary) WITH FUNCTION tsql.varbinary_of(tsql.nvarchar) AS ASSIGNMENT;
CREATE FUNCTION tsql.varbinary_of(v int8) RETURNS tsql.varbinary LANGUAGE sql IMMUTABLE STRICT RETURN int8send(v)::tsql.varbinary;
CREATE CAST (int8 AS tsql.varbinary) WITH FUNCTION tsql.varbinary_of(int8) AS ASSIGNMENT;
CREATE FUNCTION tsql.varbinary_of(v int4) RETURNS tsql.varbinary LANGUAGE sql IMMUTABLE STRICT RETURN int4send(v)::tsql.varbinary;
CREATE CAST (int4 AS tsql.varbinary) WITH FUNCTION tsql.varbinary_of(int4) AS ASSIGNMENT;
CREATE FUNCTION tsql.int8_of(v tsql.varbinary) RETURNS int8 LANGUAGE sql IMMUTABLE STRICT
    RETURN ('x' || lpad(encode(v::bytea, 'hex'), 16, '0'))::bit(64)::int8;
CREATE CAST (tsql.varbinary AS int8) WITH FUNCTION tsql.int8_of(tsql.varbinary) AS ASSIGNMENT;
CREATE FUNCTION tsql.uuid_of(v tsql.varbinary) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT
    RETURN (encode(substring(v::bytea FROM 4 FOR 1) || substring(v::bytea FROM 3 FOR 1) || substring(v::bytea FROM 2 FOR 1)
        || substring(v::bytea FROM 1 FOR 1) || substring(v::bytea FROM 6 FOR 1) || substring(v::bytea FROM 5 FOR 1)
        || substring(v::bytea FROM 8 FOR 1) || substring(v::bytea FROM 7 FOR 1) || substring(v::bytea FROM 9 FOR 8), 'hex'))::uuid;
CREATE CAST (tsql.varbinary AS uuid) WITH FUNCTION tsql.uuid_of(tsql.varbinary) AS ASSIGNMENT;

CREATE FUNCTION tsql.joined(tsql.nvarchar, tsql.nvarchar) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN (CAST($1 AS text) || CAST($2 AS text))::tsql.nvarchar;
CREATE OPERATOR tsql.+ (LEFTARG = tsql.nvarchar, RIGHTARG = tsql.nvarchar, FUNCTION = tsql.joined);
CREATE FUNCTION tsql.joined(tsql.nvarchar_bin, tsql.nvarchar_bin) RETURNS tsql.nvarchar_bin LANGUAGE sql IMMUTABLE STRICT RETURN (CAST($1 AS text) || CAST($2 AS text))::tsql.nvarchar_bin;
CREATE OPERATOR tsql.+ (LEFTARG = tsql.nvarchar_bin, RIGHTARG = tsql.nvarchar_bin, FUNCTION = tsql.joined);
CREATE FUNCTION tsql.joined(tsql.varbinary, tsql.varbinary) RETURNS tsql.varbinary LANGUAGE sql IMMUTABLE STRICT RETURN (CAST($1 AS bytea) || CAST($2 AS bytea))::tsql.varbinary;
CREATE OPERATOR tsql.+ (LEFTARG = tsql.varbinary, RIGHTARG = tsql.varbinary, FUNCTION = tsql.joined);
CREATE FUNCTION tsql.pattern(v text) RETURNS text LANGUAGE sql IMMUTABLE STRICT
    RETURN regexp_replace(replace(v, '\', '\\'), '\[([%_[])\]', '\\\1', 'g');
CREATE FUNCTION tsql.is_like(tsql.nvarchar, tsql.nvarchar) RETURNS bool LANGUAGE sql IMMUTABLE STRICT RETURN lower(CAST($1 AS text)) LIKE lower(tsql.pattern(CAST($2 AS text)));
CREATE OPERATOR tsql.~~ (LEFTARG = tsql.nvarchar, RIGHTARG = tsql.nvarchar, FUNCTION = tsql.is_like);
CREATE FUNCTION tsql.is_unlike(tsql.nvarchar, tsql.nvarchar) RETURNS bool LANGUAGE sql IMMUTABLE STRICT RETURN NOT lower(CAST($1 AS text)) LIKE lower(tsql.pattern(CAST($2 AS text)));
CREATE OPERATOR tsql.!~~ (LEFTARG = tsql.nvarchar, RIGHTARG = tsql.nvarchar, FUNCTION = tsql.is_unlike);

CREATE FUNCTION tsql.len(v tsql.nvarchar) RETURNS int LANGUAGE sql IMMUTABLE STRICT RETURN tsql.units(rtrim(CAST(v AS text), ' '));
CREATE FUNCTION tsql.len(v tsql.nvarchar_bin) RETURNS int LANGUAGE sql IMMUTABLE STRICT RETURN tsql.units(rtrim(CAST(v AS text), ' '));
CREATE FUNCTION tsql.substring(v tsql.nvarchar, n int, m int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN substr(CAST(v AS text), n, m)::tsql.nvarchar;
CREATE FUNCTION tsql.left(v tsql.nvarchar, n int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN pg_catalog.left(CAST(v AS text), n)::tsql.nvarchar;
CREATE FUNCTION tsql.upper(v tsql.nvarchar) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN pg_catalog.upper(CAST(v AS text))::tsql.nvarchar;
CREATE FUNCTION tsql.lower(v tsql.nvarchar) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN pg_catalog.lower(CAST(v AS text))::tsql.nvarchar;
CREATE FUNCTION tsql.replicate(v tsql.nvarchar, n int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN repeat(CAST(v AS text), n)::tsql.nvarchar;
CREATE FUNCTION tsql.nchar(n int) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT
    RETURN chr(CASE WHEN n = 0 THEN 1114109 WHEN n BETWEEN 55296 AND 57343 THEN n + 1048576 ELSE n END)::tsql.nvarchar;
CREATE FUNCTION tsql.datalength(v tsql.nvarchar) RETURNS int LANGUAGE sql IMMUTABLE STRICT RETURN tsql.units(CAST(v AS text)) * 2;
CREATE FUNCTION tsql.datalength(v tsql.nvarchar_bin) RETURNS int LANGUAGE sql IMMUTABLE STRICT RETURN tsql.units(CAST(v AS text)) * 2;
CREATE FUNCTION tsql.datalength(v tsql.varchar) RETURNS int LANGUAGE sql IMMUTABLE STRICT RETURN length(CAST(v AS text));
CREATE FUNCTION tsql.datalength(v tsql.varbinary) RETURNS int LANGUAGE sql IMMUTABLE STRICT RETURN octet_length(CAST(v AS bytea));
CREATE FUNCTION tsql.datalength(v tsql.geography) RETURNS int LANGUAGE sql IMMUTABLE STRICT RETURN octet_length(CAST(v AS bytea));
CREATE FUNCTION tsql.datalength(v tsql.geometry) RETURNS int LANGUAGE sql IMMUTABLE STRICT RETURN octet_length(CAST(v AS bytea));
CREATE FUNCTION tsql.count_big_of(n int8) RETURNS int LANGUAGE sql IMMUTABLE STRICT RETURN n::int4;

-- --------------------------------------------------------------------------- moments
CREATE FUNCTION tsql.sysutcdatetime() RETURNS tsql.datetime2 LANGUAGE sql VOLATILE
    RETURN tsql.datetime2_raw((extract(epoch FROM clock_timestamp()) * 10000000)::int8 + 621355968000000000);
CREATE FUNCTION tsql.sysdatetimeoffset() RETURNS tsql.datetimeoffset LANGUAGE sql VOLATILE RETURN tsql.offset_raw(tsql.raw(tsql.sysutcdatetime()), 0);
CREATE FUNCTION tsql.sysdatetime() RETURNS tsql.datetime2 LANGUAGE sql VOLATILE RETURN tsql.sysutcdatetime();
CREATE FUNCTION tsql.getdate() RETURNS tsql.datetime LANGUAGE sql VOLATILE RETURN tsql.datetime_from(tsql.raw(tsql.sysutcdatetime()));
CREATE FUNCTION tsql.getutcdate() RETURNS tsql.datetime LANGUAGE sql VOLATILE RETURN tsql.getdate();
CREATE FUNCTION tsql.newid() RETURNS uuid LANGUAGE sql VOLATILE RETURN gen_random_uuid();
CREATE FUNCTION tsql.datepart(unit text, v tsql.datetime2) RETURNS int LANGUAGE sql IMMUTABLE STRICT RETURN CASE unit
    WHEN 'year' THEN extract(year FROM tsql.date_of(v))::int WHEN 'month' THEN extract(month FROM tsql.date_of(v))::int
    WHEN 'day' THEN extract(day FROM tsql.date_of(v))::int WHEN 'hour' THEN (mod(tsql.raw(v), 864000000000) / 36000000000)::int
    WHEN 'minute' THEN (tsql.raw(v) / 600000000 % 60)::int WHEN 'second' THEN (tsql.raw(v) / 10000000 % 60)::int
    ELSE tsql.fail('0A000', 'the emulator knows no DATEPART of ' || unit) END;
-- these are written out, since a function that may fail is never inlined, and costs a hundred times as much
CREATE FUNCTION tsql.year(v tsql.datetime2) RETURNS int LANGUAGE sql IMMUTABLE STRICT RETURN extract(year FROM tsql.date_of(v))::int;
CREATE FUNCTION tsql.month(v tsql.datetime2) RETURNS int LANGUAGE sql IMMUTABLE STRICT RETURN extract(month FROM tsql.date_of(v))::int;
CREATE FUNCTION tsql.day(v tsql.datetime2) RETURNS int LANGUAGE sql IMMUTABLE STRICT RETURN extract(day FROM tsql.date_of(v))::int;
CREATE FUNCTION tsql.datefromparts(int, int, int) RETURNS date LANGUAGE sql IMMUTABLE STRICT RETURN make_date($1, $2, $3);
CREATE FUNCTION tsql.datetime2fromparts(y int, mo int, d int, h int, mi int, s int, f int, p int) RETURNS tsql.datetime2 LANGUAGE sql IMMUTABLE STRICT
    RETURN tsql.datetime2_raw(tsql.day_number(make_date(y, mo, d)) * 864000000000 + ((h * 60 + mi) * 60 + s) * 10000000::int8 + f * (10 ^ (7 - p))::int8);
CREATE FUNCTION tsql.switchoffset(v tsql.datetimeoffset, o tsql.nvarchar) RETURNS tsql.datetimeoffset LANGUAGE sql IMMUTABLE STRICT
    RETURN tsql.offset_raw(tsql.utc(v), (substr(o::text, 1, 1) || '1')::int * (substr(o::text, 2, 2)::int * 60 + substr(o::text, 5, 2)::int));
CREATE FUNCTION tsql.todatetimeoffset(v tsql.datetime2, m int) RETURNS tsql.datetimeoffset LANGUAGE sql IMMUTABLE STRICT RETURN tsql.offset_raw(tsql.raw(v) - m * 600000000::int8, m);
CREATE FUNCTION tsql.unit_ticks(unit text) RETURNS numeric LANGUAGE sql IMMUTABLE STRICT RETURN CASE unit
    WHEN 'nanosecond' THEN 0.01 WHEN 'microsecond' THEN 10 WHEN 'millisecond' THEN 10000 WHEN 'second' THEN 10000000
    WHEN 'minute' THEN 600000000 WHEN 'hour' THEN 36000000000 WHEN 'day' THEN 864000000000
    ELSE tsql.fail('0A000', 'the emulator knows no DATEADD of ' || unit) END;
CREATE FUNCTION tsql.dateadd(unit text, n numeric, v tsql.datetime2) RETURNS tsql.datetime2 LANGUAGE sql IMMUTABLE STRICT
    RETURN tsql.datetime2_raw(tsql.in_range(tsql.raw(v) + trunc(n * tsql.unit_ticks(unit))::int8));
CREATE FUNCTION tsql.dateadd(unit text, n numeric, v tsql.datetimeoffset) RETURNS tsql.datetimeoffset LANGUAGE sql IMMUTABLE STRICT
    RETURN tsql.offset_raw(tsql.in_range(tsql.utc(v) + trunc(n * tsql.unit_ticks(unit))::int8), tsql.minutes(v));
CREATE FUNCTION tsql.dateadd(unit text, n numeric, v date) RETURNS date LANGUAGE sql IMMUTABLE STRICT RETURN v + n::int;
CREATE FUNCTION tsql.dateadd(unit text, n numeric, v tsql.datetime) RETURNS tsql.datetime LANGUAGE sql IMMUTABLE STRICT
    RETURN tsql.datetime_from(tsql.datetime_ticks(v) + trunc(n * tsql.unit_ticks(unit))::int8);
CREATE FUNCTION tsql.datediff_big(unit text, a tsql.datetime2, b tsql.datetime2) RETURNS int8 LANGUAGE sql IMMUTABLE STRICT
    RETURN floor(tsql.raw(b) / tsql.unit_ticks(unit))::int8 - floor(tsql.raw(a) / tsql.unit_ticks(unit))::int8;
