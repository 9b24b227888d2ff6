-- The gateway's counting in nginx: the step 1 of a reset as one decision of decide.lua, and what Autoshares replied as one settlement of
-- settle.lua. `lua-whole.conf` calls it. As cheap as it gets: handles are not sealed, networks are those of IPv4, and of the two lines that
-- the gateway writes there is one.
local cjson = require "cjson.safe"
local redis = require "nginx.redis"
local KEY, PREFIX = "not-a-real-key", "{peer}"

local function read(path)
    local file = assert(io.open(path))
    local text = file:read("*a")
    file:close()
    return text
end
-- Debian's nginx has no MessagePack, so that JSON takes its place in the scripts.
local function with_json(script)
    return (string.gsub(string.gsub(script, "cmsgpack%.unpack", "cjson.decode"), "cmsgpack%.pack", "cjson.encode"))
end
local DECIDE, SETTLE = with_json(read("{decide}")), with_json(read("{settle}"))

-- A decision, of which only the pseudonyms change: encoding it anew each time would take longer. `ANSWER` is there with an answer alone.
local ANSWER = ',{"budget":"answers_per_login","subject":"%s","rates":[OWN],"stage_when_exhausted":1,"receipt":true}'
local DECISION = [[{"id":"%s","open":[
    {"budget":"resets","subject":"all","rates":[OPEN],"newcomers":{"network":"%s","reserve":"resets_reserve","rates":[OPEN],
        "block":"%s","per_block":"resets_per_block","block_rates":[BLOCK]}},
    {"budget":"resets_per_address","subject":"%s","rates":[OWN]},
    {"budget":"resets_per_address","subject":"%s","rates":[OWN]},
    {"budget":"logins_per_address","subject":"%s","rates":[OWN],"distinct":"%s"},
    {"budget":"logins_per_address","subject":"%s","rates":[OWN],"distinct":"%s"}],
  "record":{"begin":{"current":[],"fresh":{"id":"%s","owner":"%s"},"subject":"%s","counters":[
    {"name":"codes_per_flow","most":5},{"name":"questions_per_flow","most":10},{"name":"updates_per_flow","most":5},
    {"name":"measures_per_flow","most":30}],"stage":8,"sticky":12,"lifetime":600000000}},
  "silent":[{"budget":"resets_per_login","subject":"%s","rates":[OWN],"stage_when_exhausted":16,"receipt":true}%s],
  "makes_live":true,"level":{"name":"reset","falls_after":86400000000}}]]
local INTERVALS = {OPEN = 2, BLOCK = 20, OWN = 1}
local function with_rates(text)
    local rate = '{"seconds":1,"interval":%d,"burst":1000000}'
    text = string.gsub(text, "%[(%u+)%]", function(name) return "[" .. string.format(rate, INTERVALS[name]) .. "]" end)
    return (string.gsub(text, "\n%s*", ""))
end
ANSWER, DECISION = with_rates(ANSWER), with_rates(DECISION)
local DONE, REFUSED = '{"undo":[],"stage":{"to":4,"sticky":4}}', '{"undo":["live"]}'

local function pseudonym(value)
    return ngx.encode_base64(ngx.hmac_sha1(KEY, value))
end

-- Which Redis it is and its scripts, asked once.
local server
local function server_of(store)
    if not server then
        local info = store:info()
        local run, replication = string.match(info, "run_id:(%x+)"), string.match(info, "master_replid:(%x+)")
        local records = PREFIX .. ":" .. run .. ":" .. replication
        server = {
            records = records, replication = replication,
            decide = store:script("load", DECIDE), settle = store:script("load", SETTLE),
        }
    end
    return server
end

local function connect()
    local store = redis:new()
    store:set_timeout(1000)
    return store:connect("{redis_host}", {redis_port}) and store
end

local function refuse(status, wait)
    ngx.header["Retry-After"] = wait and math.ceil(wait / 1000000)
    return ngx.exit(status)
end

return function()
    ngx.req.read_body()
    local text = ngx.req.get_body_data() or ""
    local body = cjson.decode(text)
    if type(body) ~= "table" or type(body.User) ~= "string" then
        return refuse(400)
    end
    local address = ngx.var.remote_addr
    local own, block = pseudonym(address), pseudonym(string.match(address, "^%d+%.%d+"))
    local wider = pseudonym(string.match(address, "^%d+%.%d+%.%d+"))
    local login = pseudonym(string.lower(body.User))
    local id = ngx.var.request_id
    local flow = pseudonym(id)
    local store = connect()
    if not store then
        return refuse(503)
    end
    local known = server_of(store)
    local answer = body.SecretQuestionAnswer and string.format(ANSWER, login) or ""
    local decision = string.format(DECISION, id, wider, block, own, wider, own, login, wider, login,
        flow, pseudonym(flow .. login), login, login, answer)
    local reply = store:evalsha(known.decide, 1, PREFIX, decision, known.records, "", 3600000000, 900000000, known.replication)
    store:set_keepalive(60000, 512)
    local decided = cjson.decode(reply or "")
    if not decided then
        return refuse(503)
    elseif decided.verdict == "exhausted" then
        return refuse(429, decided.wait)
    end
    ngx.header["Content-Type"] = "application/json"
    ngx.header["Reset-Flow"] = flow
    ngx.header["Set-Cookie"] = "__Host-password-reset=" .. flow .. "; Max-Age=600; Path=/; Secure; HttpOnly; SameSite=Strict"
    if decided.verdict == "suppressed" then
        return ngx.print('{"Errors":[],"IsSucceed":false}')
    end
    local replied = ngx.location.capture("/autoshares", {method = ngx.HTTP_POST, body = text})
    local told = cjson.decode(replied.body)
    local settlement = DONE
    if replied.status >= 500 or not told then
        settlement = cjson.encode({undo = decided.receipts, restores = true})
    elseif told.Errors and #told.Errors > 0 then
        settlement = REFUSED
    end
    store = connect()
    if not store then
        return refuse(503)
    end
    store:evalsha(known.settle, 1, PREFIX, id, settlement, "", 900000000)
    store:set_keepalive(60000, 512)
    ngx.status = replied.status
    return ngx.print(replied.body)
end
