select * from {{ ref('orders_enriched') }} where amount < 0
