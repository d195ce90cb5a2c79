"""The paper, section by section: read this folder first, in this order. It needs nothing else of ich_jax.

printed          what the paper prints: settings, classes, networks, Tables 1-9
splits           Materyal: half for training, a quarter each for validation and test
windowing        Veri Ön İşleme: Hounsfield units → three windows → one RGB image
steps            Hiperparametre Seçimleri ve Ayarlar: the loss, Adam, one step of training
early_stopping   Hiperparametre Seçimleri ve Ayarlar: when to stop, and which epoch to keep
metrics          Değerlendirme Metrikleri: equations (1)-(7), and what they hide

The networks of Önerilen Model are in `ich_jax.models`.
"""
