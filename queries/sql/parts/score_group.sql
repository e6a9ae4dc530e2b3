-- The group of a score by the dimension that `by` names.
multiIf({by:String} = 'service', toString(service), {by:String} = 'environment', toString(environment),
    {by:String} = 'request_model', toString(request_model), {by:String} = 'prompt_name', toString(prompt_name),
    {by:String} = 'prompt_version', toString(prompt_version), {by:String} = 'system_hash', toString(system_hash),
    {by:String} = 'segment', toString(segment), toString(throwIf(1, 'by must be service, environment, request_model, prompt_name, prompt_version, system_hash or segment')))
