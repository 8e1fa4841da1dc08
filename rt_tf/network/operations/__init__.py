"""Operations of `keras.ops` that stand beside layers in functional models, as bounds see them."""
